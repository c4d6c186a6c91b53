//! Topics of dead letters: what they are called, and which statements would use them wrongly.
//!
//! A record whose letter comes back to the query in which it failed would fail there again, for ever. So the statement
//! that would close such a circle is refused, through however many queries it goes, by their results or their letters.
//! Only a query that reads its own letters itself is taken: it writes none.

use std::collections::{BTreeMap, VecDeque};

use crate::catalog::{Catalog, Query, check_topic_name};
use crate::error::{Error, Result};

/// The topic of a query's dead letters.
pub fn dead_letter_topic(query: &str) -> String {
    format!("{query}-dead-letters")
}

/// Refuses a query that was just put into the catalog, if topics of dead letters stand against it.
///
/// # Errors
/// Invalid: the query's topic could not have its name, or letters would go in a circle. Conflict: results of one query
/// would be in a topic with letters of another.
pub(super) fn check(query: &Query, catalog: &Catalog) -> Result<()> {
    if query.dead_letters {
        check_topic_name(&dead_letter_topic(&query.id))?;
    }
    check_taken(query, catalog)?;
    let Some(circle) = circle(query, catalog) else { return Ok(()) };
    let message = format!("Dead letters would go in a circle: {}", circle.join(" -> "));
    let hint = "a query of its own, with another sink or without dead letters, can read what was repaired";
    Err(Error::invalid(message).hint(hint))
}

/// Refuses results in a topic with dead letters, and dead letters in a topic with results.
fn check_taken(query: &Query, catalog: &Catalog) -> Result<()> {
    let all = catalog.queries();
    let pairs = all.iter().flat_map(|other| [(query, other.as_ref()), (other.as_ref(), query)]);
    for (writer, filler) in pairs {
        let letters = dead_letter_topic(&writer.id);
        if writer.dead_letters && sink_topic(filler, catalog) == Some(&letters) {
            let message = format!("Topic '{letters}' is for the dead letters of query {}", writer.id);
            let hint = format!("{} writes its results to it; give these another KAFKA_TOPIC", filler.id);
            return Err(Error::conflict(message).hint(hint));
        }
    }
    Ok(())
}

/// The queries through which a letter of one of them would come back to it, if the last one made closes such a circle.
fn circle(query: &Query, catalog: &Catalog) -> Option<Vec<String>> {
    let all = catalog.queries();
    // By query and whether a letter is on the way: the step before.
    let mut before: BTreeMap<(&str, bool), (&str, bool)> = BTreeMap::new();
    let mut next = VecDeque::from([(query, false)]);
    while let Some((from, by_letter)) = next.pop_front() {
        let results = sink_topic(from, catalog).map(|topic| (topic.to_owned(), by_letter));
        let letters = written_letters(from, catalog).map(|topic| (topic, true));
        for (topic, by_letter_now) in results.into_iter().chain(letters) {
            for reader in all.iter().filter(|reader| reads(reader, &topic, catalog)) {
                let step = (reader.id.as_str(), by_letter_now);
                if step != (query.id.as_str(), false) && !before.contains_key(&step) {
                    before.insert(step, (from.id.as_str(), by_letter));
                    next.push_back((reader, by_letter_now));
                }
            }
        }
    }
    let mut step = (query.id.as_str(), true);
    before.contains_key(&step).then(|| {
        let mut circle = vec![query.id.clone()];
        while step != (query.id.as_str(), false) {
            step = before[&step];
            circle.push(step.0.to_owned());
        }
        circle.reverse();
        circle
    })
}

/// The topic to which a query writes dead letters; none if it reads them itself.
pub(super) fn written_letters(query: &Query, catalog: &Catalog) -> Option<String> {
    let topic = dead_letter_topic(&query.id);
    (query.dead_letters && !reads(query, &topic, catalog)).then_some(topic)
}

fn sink_topic<'c>(query: &Query, catalog: &'c Catalog) -> Option<&'c String> {
    catalog.source(&query.sink).map(|source| &source.topic)
}

fn reads(query: &Query, topic: &str, catalog: &Catalog) -> bool {
    query.reads.iter().filter_map(|name| catalog.source(name)).any(|source| source.topic == topic)
}
