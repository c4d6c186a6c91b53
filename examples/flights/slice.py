"""Writes flights.jsonl.gz and weather.jsonl.gz: the January of the data sets whose folder is named.

    python3 slice.py FOLDER
"""
import gzip
import json
import os
import sys

FEBRUARY_MS = 1359694800000  # 2013-02-01T00:00:00-05:00
for name in ["flights.jsonl.gz", "weather.jsonl.gz"]:
    with gzip.GzipFile(name, "wb", mtime=0) as out:
        for line in gzip.open(os.path.join(sys.argv[1], name)):
            if json.loads(line)["ts"] < FEBRUARY_MS:
                out.write(line)
