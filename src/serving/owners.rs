//! Whose the queries are that show rows: where users say who they are, only its owner or an admin may end one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::refusal::Refusal;
use super::users::Caller;
use crate::locks::lock;
use crate::statements::Right;

/// The names of the users who started queries, by the ids of the queries.
#[derive(Clone, Default)]
pub(super) struct Owners(Arc<Mutex<HashMap<String, Option<Arc<str>>>>>);

/// A query's entry, which goes when this is dropped.
pub(super) struct Owned {
    owners: Owners,
    id: String,
}

impl Owners {
    /// Notes who started a query.
    pub(super) fn note(&self, id: &str, caller: &Caller) -> Owned {
        lock(&self.0).insert(id.to_owned(), caller.name.clone());
        Owned { owners: self.clone(), id: id.to_owned() }
    }

    /// # Errors
    /// 403 if the caller is neither an admin nor who started the query. A query of which nobody is noted is an admin's.
    pub(super) fn may_end(&self, id: &str, caller: &Caller) -> Result<(), Refusal> {
        let is_own = || caller.name.is_some() && lock(&self.0).get(id) == Some(&caller.name);
        if caller.right >= Right::Admin || is_own() {
            return Ok(());
        }
        let name = caller.name.as_deref().unwrap_or_default();
        let message = format!("The query {id} was not started by the user {name}; the role admin may end it, too");
        Err(Refusal::new(40300, message))
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        lock(&self.owners.0).remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_ended_by_who_started_it_or_by_an_admin() {
        let owners = Owners::default();
        let caller = |name: Option<&str>, right| Caller { name: name.map(Into::into), right };
        let (ann, bob) = (caller(Some("ann"), Right::Read), caller(Some("bob"), Right::Write));
        let noted = owners.note("q", &ann);
        let may = |caller: &Caller| owners.may_end("q", caller).is_ok();
        assert!(may(&ann) && !may(&bob));
        assert!(may(&caller(Some("ada"), Right::Admin)) && may(&caller(None, Right::Admin)));
        drop(noted);
        assert!(!may(&ann), "it is over");
        let _noted = owners.note("q", &caller(None, Right::Admin));
        assert!(!may(&caller(None, Right::Read)), "nobody is not a user");
    }
}
