//! JSON values as text where an object has a name twice: the last value counts, at the place of the first, as in Jackson's
//! trees. The tree is only built for such texts.

use std::borrow::Cow;
use std::collections::hash_map::Entry;

use foldhash::HashMap;

use super::scan::{RawString, Scan, Scanned, Start};
use super::text::{List, append_leaf, append_quoted};

/// The values of a text. Parents, children and siblings are known by their numbers.
#[derive(Default)]
struct Tree<'a> {
    nodes: Vec<Node<'a>>,
    /// The values of fields, by the object and the name.
    fields: HashMap<(usize, Cow<'a, str>), usize>,
}

/// A value, and its name if it is a field.
struct Node<'a> {
    name: Option<RawString<'a>>,
    kind: Kind,
    first_child: Option<usize>,
    next: Option<usize>,
}

#[derive(Clone, Copy)]
enum Kind {
    /// A number, string or literal, which stands at this place of the text.
    Leaf(usize),
    Object,
    Array,
}

/// An object or array whose end is still to come, and the last of its children.
struct Open {
    node: usize,
    last_child: Option<usize>,
}

/// Appends the text of the value that comes next.
pub(super) fn append_value(scan: &mut Scan, out: &mut String) -> Scanned<()> {
    let mut tree = Tree::default();
    tree.read(scan)?;
    let end = scan.at();
    tree.write(scan, out)?;
    scan.back_to(end);
    Ok(())
}

impl<'a> Tree<'a> {
    fn read(&mut self, scan: &mut Scan<'a>) -> Scanned<()> {
        let mut open: Vec<Open> = Vec::new();
        let mut node = self.add(None);
        loop {
            let start = scan.start()?;
            let is_object = start == Start::Object;
            self.nodes[node].first_child = None;
            let is_open = if is_object || start == Start::Array {
                self.nodes[node].kind = if is_object { Kind::Object } else { Kind::Array };
                scan.expect(if is_object { b'{' } else { b'[' })?;
                !scan.take(if is_object { b'}' } else { b']' })
            } else {
                self.nodes[node].kind = Kind::Leaf(scan.at());
                scan.skip()?;
                false
            };
            if is_open {
                open.push(Open { node, last_child: None });
            }
            // The children of an open collection come next, or what follows a value that has ended.
            let mut goes_on = is_open;
            while !goes_on {
                let Some(Open { node: parent, .. }) = open.last() else { return Ok(()) };
                goes_on = scan.take(b',');
                if !goes_on {
                    scan.expect(if matches!(self.nodes[*parent].kind, Kind::Object) { b'}' } else { b']' })?;
                    open.pop();
                }
            }
            let Some(parent) = open.last_mut() else { return Ok(()) };
            node = self.child(scan, parent)?;
        }
    }

    /// The node of the child that comes next: that of an earlier field of the same name, or a new one.
    fn child(&mut self, scan: &mut Scan<'a>, parent: &mut Open) -> Scanned<usize> {
        let mut name = None;
        if matches!(self.nodes[parent.node].kind, Kind::Object) {
            let string = scan.string()?;
            scan.expect(b':')?;
            let next = self.nodes.len();
            match self.fields.entry((parent.node, string.text())) {
                Entry::Occupied(earlier) => return Ok(*earlier.get()),
                Entry::Vacant(place) => place.insert(next),
            };
            name = Some(string);
        }
        let child = self.add(name);
        match parent.last_child.replace(child) {
            Some(last) => self.nodes[last].next = Some(child),
            None => self.nodes[parent.node].first_child = Some(child),
        }
        Ok(child)
    }

    fn add(&mut self, name: Option<RawString<'a>>) -> usize {
        self.nodes.push(Node { name, kind: Kind::Array, first_child: None, next: None });
        self.nodes.len() - 1
    }

    fn write(&self, scan: &mut Scan<'a>, out: &mut String) -> Scanned<()> {
        // What stands between the children of the open collections, what ends them, and the node after them.
        let mut open: Vec<(Option<List>, Option<usize>)> = Vec::new();
        let mut next = Some(0);
        loop {
            let Some(at) = next else {
                let Some((list, after)) = open.pop() else { return Ok(()) };
                out.push(if list.is_some() { ']' } else { '}' });
                self.separate(after, &open, out);
                next = after;
                continue;
            };
            let node = &self.nodes[at];
            if let Some(name) = &node.name {
                append_quoted(name, out);
                out.push(':');
            }
            let is_plain = open.last().is_none_or(|(list, _)| *list == Some(List::Plain));
            let after = if at == 0 { None } else { node.next };
            match node.kind {
                Kind::Leaf(place) => {
                    scan.back_to(place);
                    append_leaf(scan, is_plain, out)?;
                    self.separate(after, &open, out);
                    next = after;
                    continue;
                }
                Kind::Object => {
                    out.push('{');
                    open.push((None, after));
                }
                Kind::Array => {
                    out.push('[');
                    open.push((Some(if is_plain { List::Plain } else { List::Json }), after));
                }
            }
            next = node.first_child;
        }
    }

    /// Appends what stands before the next child of the innermost open collection, if there is one.
    fn separate(&self, next: Option<usize>, open: &[(Option<List>, Option<usize>)], out: &mut String) {
        if next.is_some() {
            let list = open.last().and_then(|(list, _)| *list);
            out.push_str(list.map_or(",", List::separator));
        }
    }
}
