//! A cache of patterns and expressions by their texts, which are constants in most queries.

use std::cell::RefCell;
use std::rc::Rc;

/// A search compares texts one by one, so the list must stay short.
const MOST_KEPT: usize = 16;

/// The things made of the texts that were used last, the latest at the end.
///
/// Lives in a thread-local, so there is no lock, and the values are shared by [`Rc`].
pub(super) struct Recent<T>(RefCell<Vec<(String, Rc<T>)>>);

impl<T> Recent<T> {
    /// Nothing yet.
    pub(super) const fn new() -> Self {
        Recent(RefCell::new(Vec::new()))
    }

    /// The thing that `make` makes of the text, or made earlier.
    ///
    /// A text that fails is not remembered: `make` is asked again the next time. `make` must not use the same cache,
    /// which is borrowed meanwhile.
    pub(super) fn get<E>(&self, text: &str, make: impl FnOnce(&str) -> Result<T, E>) -> Result<Rc<T>, E> {
        let mut kept = self.0.borrow_mut();
        match kept.iter().position(|(known, _)| known == text) {
            Some(at) => kept[at..].rotate_left(1),
            None => {
                let made = Rc::new(make(text)?);
                if kept.len() == MOST_KEPT {
                    kept.remove(0);
                }
                kept.push((text.to_owned(), made));
            }
        }
        Ok(kept[kept.len() - 1].1.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_is_made_again() {
        let recent = Recent::new();
        let made = |text: &str| {
            let mut made = false;
            let length = recent.get(text, |text| {
                made = true;
                Ok::<_, ()>(text.len())
            });
            assert_eq!(length.as_deref(), Ok(&text.len()));
            made
        };
        let texts: Vec<String> = (0..MOST_KEPT).map(|n| "x".repeat(n)).collect();
        assert!(texts.iter().all(|text| made(text)));
        assert!(!made(&texts[0]) && made("another"));
        assert!(!made(&texts[0]) && made(&texts[1]));
    }
}
