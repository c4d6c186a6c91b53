//! Rows as answers have them: one layout for each media type.
//!
//! An answer is a head, rows, and an end; each of these is a piece of its own, which becomes a chunk or a frame:
//!
//! ```text
//! delimited   {"queryId":…,"columnNames":[…],"columnTypes":[…]}⏎   [1,"a"]⏎
//! json        [{"queryId":…,…}                                     ,[1,"a"]                       ]
//! v1          [{"header":{"queryId":…,"schema":…}},⏎               {"row":{"columns":[1,"a"]}},⏎  {"finalMessage":…}  ]
//! events      id: 0⏎event: header⏎data: {"queryId":…,…}⏎⏎          id: 1⏎data: [1,"a"]⏎⏎          id: end⏎event: end⏎…
//! ```
//!
//! Where a later query can go on behind a row, the ids of events are tokens instead of numbers. In the other layouts a token is a
//! piece of its own, behind the rows that came together, if the client wants tokens:
//!
//! ```text
//! delimited   {"continuationToken":"r1.…"}⏎
//! json        ,{"continuationToken":"r1.…"}
//! v1          {"continuationToken":{"continuationToken":"r1.…"}},⏎
//! ```

use bytes::Bytes;
use serde_json::{Value as Json, json};

use super::accept::{DELIMITED, EVENTS, JSON, PROTOBUF, V1};
use super::protobuf;
use crate::engine::PushRow;
use crate::formats::answer::put_value;
use crate::formats::json::encode::put_string;
use crate::types::parse::base64_text;
use crate::types::{Column, Role, Value, quoted};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// One JSON value a line.
    Delimited,
    /// A JSON array with the head first.
    Json,
    /// A JSON array of objects that say what they are.
    V1,
    /// The same, with the values of a row in Protobuf.
    Protobuf,
    /// Events for a browser: `header`, rows without a name, `deletion`, and `end` or `failure` as the last one.
    Events,
}

/// The id of the last event. A browser connects again and says the last id that it has seen.
pub(super) const LAST_EVENT: &str = "end";

/// What stands before the rows.
pub(super) struct Head<'a> {
    pub id: &'a str,
    pub columns: &'a [Column],
    /// Whether the schema says which columns are the key's.
    pub marks_keys: bool,
    /// The node that has the rows, if the client asks which.
    pub host: Option<&'a str>,
}

impl Layout {
    /// The layout of a media type; None if it is none of rows.
    pub(super) fn of(media_type: &str) -> Option<Layout> {
        match media_type {
            DELIMITED => Some(Layout::Delimited),
            JSON => Some(Layout::Json),
            V1 => Some(Layout::V1),
            PROTOBUF => Some(Layout::Protobuf),
            EVENTS => Some(Layout::Events),
            _ => None,
        }
    }

    /// The media type of the answer.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Layout::Delimited => DELIMITED,
            Layout::Json => JSON,
            Layout::V1 => V1,
            Layout::Protobuf => PROTOBUF,
            Layout::Events => EVENTS,
        }
    }

    /// What stands before the rows.
    pub(super) fn head(self, head: &Head) -> Bytes {
        match self {
            Layout::Delimited => listed(b"", head, b"\n"),
            Layout::Json => listed(b"[", head, b""),
            Layout::Events => listed(b"event: header\ndata: ", head, b"\n\n"),
            Layout::V1 => {
                let header = json!({ "header": { "queryId": head.id, "schema": schema(head) } });
                format!("[{header},\n").into()
            }
            Layout::Protobuf => {
                let message = protobuf::schema(head.columns);
                let header = json!({ "queryId": head.id, "schema": schema(head), "protoSchema": message });
                format!("[{},\n", json!({ "header": header })).into()
            }
        }
    }

    /// A row; nothing for a deletion where there is no room for it.
    pub(super) fn row(self, row: &PushRow) -> Option<Bytes> {
        // A deletion, and what Protobuf cannot say, is written as JSON.
        if let (Layout::Protobuf, false, Some(bytes)) = (self, row.is_deletion, protobuf::row(&row.values)) {
            return Some(format!("{},\n", json!({ "row": { "protobufBytes": base64_text(&bytes) } })).into());
        }
        let mut out = Vec::new();
        match self {
            Layout::Delimited | Layout::Json if row.is_deletion => return None,
            Layout::Delimited => {
                columns(&row.values, &mut out);
                out.push(b'\n');
            }
            Layout::Json => {
                out.push(b',');
                columns(&row.values, &mut out);
            }
            Layout::Events => {
                out.extend_from_slice(if row.is_deletion { b"event: deletion\ndata: " } else { b"data: " });
                columns(&row.values, &mut out);
                out.extend_from_slice(b"\n\n");
            }
            Layout::V1 | Layout::Protobuf => {
                out.extend_from_slice(b"{\"row\":{\"columns\":");
                columns(&row.values, &mut out);
                out.extend_from_slice(if row.is_deletion { b",\"tombstone\":true}},\n" } else { b"}},\n" });
            }
        }
        Some(out.into())
    }

    /// A piece that says where its reader stands behind it, where the layout has room for that in each.
    pub(super) fn behind(self, piece: Bytes, token: impl FnOnce() -> Option<String>) -> Bytes {
        match if self == Layout::Events { token() } else { None } {
            Some(token) => [format!("id: {token}\n").as_bytes(), &piece].concat().into(),
            None => piece,
        }
    }

    /// What says where the reader of the rows before stands; nothing where each of them says it.
    pub(super) fn token(self, token: &str) -> Option<Bytes> {
        let told = json!({ "continuationToken": token });
        match self {
            Layout::Delimited => Some(format!("{told}\n").into()),
            Layout::Json => Some(format!(",{told}").into()),
            Layout::V1 | Layout::Protobuf => Some(format!("{},\n", json!({ "continuationToken": told })).into()),
            Layout::Events => None,
        }
    }

    /// A row with the node that has it, where there is room for that.
    fn with_host(self, row: Bytes, host: Option<&str>) -> Bytes {
        match (self, host, row.strip_suffix(b"},\n")) {
            (Layout::V1, Some(host), Some(begin)) => {
                [begin, format!(",\"sourceHost\":{}}},\n", json!(host)).as_bytes()].concat().into()
            }
            _ => row,
        }
    }

    /// What stands behind the rows, with a last message where there is room for it.
    pub(super) fn end(self, message: Option<&str>) -> Vec<Bytes> {
        match self {
            Layout::Delimited => Vec::new(),
            Layout::Json => vec![Bytes::from_static(b"]")],
            Layout::Events => vec![last_event("end", &json!({ "message": message }))],
            Layout::V1 | Layout::Protobuf => {
                let message = message.map(|message| json!({ "finalMessage": message }).to_string().into());
                message.into_iter().chain([Bytes::from_static(b"]")]).collect()
            }
        }
    }

    /// What an answer that has begun says of an error.
    pub(super) fn error(self, error: &Json) -> Vec<Bytes> {
        match self {
            Layout::Delimited => vec![format!("{error}\n").into()],
            Layout::Events => vec![last_event("failure", error)],
            Layout::Json => vec![format!(",{error}").into(), Bytes::from_static(b"]")],
            Layout::V1 | Layout::Protobuf => {
                vec![json!({ "errorMessage": error }).to_string().into(), Bytes::from_static(b"]")]
            }
        }
    }

    /// A piece with its place in the answer, where the layout says it.
    pub(super) fn placed(self, place: usize, piece: Bytes) -> Bytes {
        match self {
            Layout::Events if !piece.starts_with(b"id:") => {
                [format!("id: {place}\n").as_bytes(), &piece].concat().into()
            }
            _ => piece,
        }
    }

    /// All rows of a table, in pieces: in v1 as few as fit, else each row by itself.
    pub(super) fn pulled(self, head: &Head, rows: Vec<Vec<Value>>) -> Vec<Bytes> {
        let rows = rows.into_iter().map(|values| PushRow { values, is_deletion: false, record: None });
        let rows = rows.filter_map(|row| Some(self.with_host(self.row(&row)?, head.host)));
        let pieces: Vec<Bytes> = std::iter::once(self.head(head)).chain(rows).collect();
        if matches!(self, Layout::Delimited | Layout::Json | Layout::Events) {
            return pieces.into_iter().chain(self.end(None)).collect();
        }
        let (mut all, mut portion) = (Vec::new(), Vec::new());
        let last = pieces.len() - 1;
        for (place, piece) in pieces.iter().enumerate() {
            // No element follows the last one.
            let piece = if place == last { piece.strip_suffix(b",\n").unwrap_or(piece) } else { piece };
            portion.extend_from_slice(piece);
            if portion.len() > PORTION && place < last {
                all.push(Bytes::from(std::mem::take(&mut portion)));
            }
        }
        portion.push(b']');
        all.push(portion.into());
        all
    }
}

/// The id of a query with the names and types of its columns, between what stands before and behind it.
fn listed(before: &[u8], head: &Head, behind: &[u8]) -> Bytes {
    let mut out = before.to_vec();
    out.extend_from_slice(b"{\"queryId\":");
    put_string(head.id.as_bytes(), &mut out);
    out.extend_from_slice(b",\"columnNames\":[");
    put_list(head.columns, &mut out, |column, out| put_string(column.name.as_bytes(), out));
    out.extend_from_slice(b"],\"columnTypes\":[");
    put_list(head.columns, &mut out, |column, out| put_string(column.sql_type.to_string().as_bytes(), out));
    out.extend_from_slice(b"]}");
    out.extend_from_slice(behind);
    out.into()
}

/// Appends items with commas between them.
fn put_list<T>(items: &[T], out: &mut Vec<u8>, put: impl Fn(&T, &mut Vec<u8>)) {
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        put(item, out);
    }
}

/// The last event of an answer.
fn last_event(name: &str, data: &Json) -> Bytes {
    format!("id: {LAST_EVENT}\nevent: {name}\ndata: {data}\n\n").into()
}

/// About how many bytes of rows are sent together.
const PORTION: usize = 5 << 10;

/// The columns as statements declare them.
pub(super) fn schema(head: &Head) -> String {
    let column = |column: &Column| {
        let key = if head.marks_keys && column.role == Role::Key { " KEY" } else { "" };
        format!("{} {}{key}", quoted(&column.name), column.sql_type)
    };
    head.columns.iter().map(column).collect::<Vec<_>>().join(", ")
}

/// The values as a JSON array.
pub(super) fn columns(values: &[Value], out: &mut Vec<u8>) {
    out.push(b'[');
    put_list(values, out, put_value);
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SqlType;

    fn text(pieces: &[Bytes]) -> Vec<&str> {
        pieces.iter().map(|piece| std::str::from_utf8(piece).expect("text")).collect()
    }

    #[test]
    fn an_answer_is_one_json_value_cut_between_its_elements() {
        let columns = [
            Column { name: "K".to_owned(), sql_type: SqlType::String, role: Role::Key },
            Column::value("V", SqlType::Integer),
        ];
        let head = Head { id: "q", columns: &columns, marks_keys: true, host: None };
        let rows = || vec![vec![Value::String("a".into()), Value::Integer(1)], vec![Value::Null, Value::Null]];
        assert_eq!(
            text(&Layout::V1.pulled(&head, rows())),
            ["[{\"header\":{\"queryId\":\"q\",\"schema\":\"`K` STRING KEY, `V` INTEGER\"}},\n\
              {\"row\":{\"columns\":[\"a\",1]}},\n{\"row\":{\"columns\":[null,null]}}]"]
        );
        assert_eq!(
            text(&Layout::Json.pulled(&head, rows())),
            [
                "[{\"queryId\":\"q\",\"columnNames\":[\"K\",\"V\"],\"columnTypes\":[\"STRING\",\"INTEGER\"]}",
                ",[\"a\",1]",
                ",[null,null]",
                "]"
            ]
        );
        let placed = Head { host: Some("h:1"), ..head };
        assert!(text(&Layout::V1.pulled(&placed, rows()))[0].ends_with(
            "\n{\"row\":{\"columns\":[\"a\",1]},\"sourceHost\":\"h:1\"},\n\
             {\"row\":{\"columns\":[null,null]},\"sourceHost\":\"h:1\"}]"
        ));
        assert_eq!(text(&Layout::Json.pulled(&placed, rows()))[1], ",[\"a\",1]");
        let head = Head { host: None, ..placed };
        assert_eq!(text(&Layout::V1.pulled(&head, Vec::new())).len(), 1);
        let many = (0..2_000).map(|number| vec![Value::Null, Value::Integer(number)]).collect();
        let pieces = Layout::V1.pulled(&head, many);
        assert!(pieces.len() > 5);
        serde_json::from_slice::<Json>(&pieces.concat()).expect("one value");
        let deletion = PushRow { values: vec![Value::Null, Value::Null], is_deletion: true, record: None };
        assert_eq!(Layout::Delimited.row(&deletion), None);
        assert!(Layout::V1.row(&deletion).is_some_and(|row| row.ends_with(b",\"tombstone\":true}},\n")));
    }
}
