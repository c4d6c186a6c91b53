"""Writes delays.jsonl and weather_of_flights.jsonl.gz: the results, computed without Tidemill.

    python3 expected.py [FOLDER OF THE INPUT]
"""
import bisect
import collections
import gzip
import json
import os
import sys

HOUR_MS = 3600_000
BEFORE_MS = 59 * 60_000
folder = sys.argv[1] if len(sys.argv) > 1 else "."


def rows(name):
    return [json.loads(line) for line in gzip.open(os.path.join(folder, name))]


flights, weather = rows("flights.jsonl.gz"), rows("weather.jsonl.gz")

groups = collections.defaultdict(list)
for row in flights:
    if row["dep_delay"] is not None:
        groups[row["origin"], row["ts"] // HOUR_MS * HOUR_MS].append(row["dep_delay"])
with open("delays.jsonl", "w") as out:
    for (origin, start), delays in sorted(groups.items()):
        key = {"key": origin, "window": {"start": start, "end": start + HOUR_MS}}
        value = {"FLIGHTS": len(delays), "MEAN_DELAY": sum(delays) / len(delays), "WORST": max(delays)}
        out.write(json.dumps({"key": key, "value": value}) + "\n")

by_origin = collections.defaultdict(list)
for row in weather:
    by_origin[row["origin"]].append(row)
times = {origin: [row["ts"] for row in all] for origin, all in by_origin.items()}
results = []
for row in flights:
    origin, ts = row["origin"], row["ts"]
    first = bisect.bisect_left(times[origin], ts - BEFORE_MS)
    last = bisect.bisect_right(times[origin], ts)
    for found in by_origin[origin][first:last]:
        value = {"CARRIER": row["carrier"], "FLIGHT": row["flight"], "DEP_DELAY": row["dep_delay"],
                 "WIND_SPEED": found["wind_speed"], "VISIB": found["visib"]}
        results.append(json.dumps({"key": origin, "value": value}))
with gzip.GzipFile("weather_of_flights.jsonl.gz", "wb", mtime=0) as out:
    out.writelines((line + "\n").encode() for line in sorted(results))
