//! Paths into JSON values: `$.a[0].b`, `$["a b"]`, `$.items[*].price`.
//!
//! | step | meaning |
//! |---|---|
//! | `.name` | the field; the name goes on to the next dot or bracket and may have blanks |
//! | `['name']`, `["name"]` | the field of this exact name; a backslash takes the meaning from the next character |
//! | `[3]` | the item at this place, the first being 0, or the field `3` of an object |
//! | `[name]` | the field, if the name has letters, digits, `_`, `:`, `@` and `-` only |
//! | `.*`, `[*]` | all items or all fields |
//!
//! There are no filters, slices, negative places or `..`. A path is parsed in one pass; finding it costs one step per
//! name, and one per value where a star spreads.

use serde_json::Value;

/// What a path is made of, for messages.
pub(super) const FORM: &str =
    "a path is $ and then .name, .*, [0], [*], [name], ['name'] or [\"name\"], any number of times";

/// A path, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

/// A step down.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// The field of this name, or the item at this place of an array.
    ///
    /// Which of the two is meant is known only when the value is there: `[0]` of an object is its field `0`.
    Name(String),
    /// All items of an array, or all fields of an object.
    All,
}

/// What is at a path.
#[derive(Debug, PartialEq)]
pub(super) enum Found<'v> {
    One(&'v Value),
    /// The values that a path with a star leads to.
    Many(Vec<&'v Value>),
}

impl Path {
    /// Parses a path; `None` if it is none.
    ///
    /// Without a leading `$` a text is not a path, and blanks are part of names, not separators.
    pub(super) fn parse(path: &str) -> Option<Path> {
        let mut steps = Vec::new();
        let mut rest = path.strip_prefix('$')?;
        while !rest.is_empty() {
            let (step, after) = match rest.strip_prefix('.') {
                Some(name) => dotted(name)?,
                None => bracketed(rest.strip_prefix('[')?)?,
            };
            steps.push(step);
            rest = after;
        }
        Some(Path(steps))
    }

    /// Whether the path is `$` alone.
    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// What is at the path. A star leaves out what does not have the rest of the path.
    ///
    /// `None` if a name before any star is missing, or if the first star stands at a value without children. After a
    /// star the result is always [`Found::Many`], perhaps empty. A JSON null is a value and is found.
    pub(super) fn find<'v>(&self, root: &'v Value) -> Option<Found<'v>> {
        let mut found = Found::One(root);
        for step in &self.0 {
            found = match (found, step) {
                (Found::One(value), Step::Name(name)) => Found::One(child(value, name)?),
                (Found::One(value), Step::All) => Found::Many(children(value)?),
                (Found::Many(values), Step::Name(name)) => {
                    Found::Many(values.into_iter().filter_map(|value| child(value, name)).collect())
                }
                (Found::Many(values), Step::All) => {
                    Found::Many(values.into_iter().filter_map(children).flatten().collect())
                }
            };
        }
        Some(found)
    }
}

fn child<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value.as_array() {
        Some(items) => items.get(name.parse::<usize>().ok()?),
        None => value.get(name),
    }
}

fn children(value: &Value) -> Option<Vec<&Value>> {
    match value {
        Value::Array(items) => Some(items.iter().collect()),
        Value::Object(fields) => Some(fields.values().collect()),
        _ => None,
    }
}

/// The step after a dot, and the rest: a name goes on to the next dot or bracket, blanks included.
fn dotted(text: &str) -> Option<(Step, &str)> {
    let (name, rest) = text.split_at(text.find(['.', '[', ']', '"', '\'']).unwrap_or(text.len()));
    let ends = rest.is_empty() || rest.starts_with(['.', '[']);
    let step = if name == "*" { Step::All } else { Step::Name(name.to_owned()) };
    (ends && !name.is_empty() && (name == "*" || !name.contains('*'))).then_some((step, rest))
}

/// The step after an opening bracket, and what comes after the closing one.
fn bracketed(text: &str) -> Option<(Step, &str)> {
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let (name, rest) = quoted(&text[1..], quote)?;
        return Some((Step::Name(name), rest.strip_prefix(']')?));
    }
    let (inner, rest) = text.split_once(']')?;
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '@' | '-');
    match inner {
        "*" => Some((Step::All, rest)),
        name if !name.is_empty() && name.chars().all(is_name) => Some((Step::Name(name.to_owned()), rest)),
        _ => None,
    }
}

/// A name whose opening quote was taken, and what comes after its closing one.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((name, &text[at + 1..])),
            '\\' => name.push(chars.next()?.1),
            other => name.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(path: &str) -> Option<String> {
        let json = r#"{"a b": 1, "x-y": {"é": [2, 3]}, "n": null, "items": [{"p": 4}, {"q": 5}, {"p": null}], "0": 6}"#;
        let root: Value = serde_json::from_str(json).expect("JSON");
        let found = Path::parse(path).expect("a path").find(&root)?;
        Some(match found {
            Found::One(value) => value.to_string(),
            Found::Many(values) => serde_json::to_string(&values).expect("JSON"),
        })
    }

    #[test]
    fn names_may_have_blanks_and_hyphens_and_be_quoted() {
        for path in ["$.a b", "$['a b']", "$[\"a b\"]"] {
            assert_eq!(find(path).as_deref(), Some("1"), "{path}");
        }
        assert_eq!(find("$.x-y.é[1]").as_deref(), Some("3"));
        assert_eq!(find("$['x-y'][é][0]").as_deref(), Some("2"));
        assert_eq!(find("$[0]").as_deref(), Some("6"));
        assert_eq!(find("$.items[-1]"), None);
        assert_eq!(find("$.items[3]"), None);
        assert_eq!(find("$.n").as_deref(), Some("null"));
    }

    #[test]
    fn a_star_leads_to_everything_that_has_the_rest() {
        assert_eq!(find("$.items[*].p").as_deref(), Some("[4,null]"));
        assert_eq!(find("$.items.*.q").as_deref(), Some("[5]"));
        assert_eq!(find("$.x-y[*][*]").as_deref(), Some("[2,3]"));
        assert_eq!(find("$.n[*]"), None);
    }

    #[test]
    fn other_texts_are_no_paths() {
        for path in
            ["", "a", "$.", "$a", ".a", "$..a", "$[", "$[]", "$['a]", "$.a]", "$.a*", "$[?(@.x)]", "$.a.", "$ .a"]
        {
            assert_eq!(Path::parse(path), None, "{path}");
        }
    }
}
