//! The tree of names, and the room that files take.

use std::io;
use std::path::{Component, Path};

use super::node::Dir;
use super::{File, Node, World, full, not_found};

impl World {
    /// The number of the node at a path.
    pub(super) fn find(&self, path: &Path) -> io::Result<usize> {
        let mut at = 0;
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            let Node::Dir(dir) = &self.nodes[at] else { return Err(not_found(path)) };
            at = *dir.now.get(&*name.to_string_lossy()).ok_or_else(|| not_found(path))?;
        }
        Ok(at)
    }

    /// The directory at a path.
    pub(super) fn dir(&mut self, path: &Path) -> io::Result<&mut Dir> {
        let at = self.find(path)?;
        match &mut self.nodes[at] {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(not_found(path)),
        }
    }

    /// The file of a node's number.
    pub(super) fn file(&mut self, node: usize) -> &mut File {
        match &mut self.nodes[node] {
            Node::File(file) => file,
            Node::Dir(_) => unreachable!("only files are opened"),
        }
    }

    /// The directory and the name of a path.
    pub(super) fn place<'p>(&mut self, path: &'p Path) -> io::Result<(&mut Dir, &'p str)> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| not_found(path))?;
        Ok((self.dir(path.parent().unwrap_or(Path::new("")))?, name))
    }

    /// Gives a path to a new node; the number of the node.
    pub(super) fn add(&mut self, path: &Path, node: Node) -> io::Result<usize> {
        let number = self.nodes.len();
        let (dir, name) = self.place(path)?;
        if dir.now.contains_key(name) {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        dir.change(vec![(name.to_owned(), Some(number))]);
        self.nodes.push(node);
        Ok(number)
    }

    /// Takes room for bytes.
    pub(super) fn take_room(&mut self, bytes: usize) -> io::Result<()> {
        match &mut self.room {
            Some(room) if *room < bytes as u64 => Err(full()),
            Some(room) => {
                *room -= bytes as u64;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Gives back the room of a file that is there no more.
    pub(super) fn free(&mut self, node: usize) {
        if let (Some(room), Node::File(file)) = (&mut self.room, &self.nodes[node]) {
            *room += file.now.len() as u64;
        }
    }

    /// Renames a file within its directory.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.find(from)?;
        if self.find(to.parent().unwrap_or(Path::new("")))? != self.find(from.parent().unwrap_or(Path::new("")))? {
            let message = "a file is renamed into another directory, which no code does and this disk cannot";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        match self.find(to) {
            Ok(replaced) if matches!(self.nodes[replaced], Node::Dir(_)) => {
                return Err(io::Error::from(io::ErrorKind::IsADirectory));
            }
            Ok(replaced) if replaced != node => self.free(replaced),
            _ => {}
        }
        let new = self.place(to)?.1;
        let (dir, old) = self.place(from)?;
        dir.change(vec![(old.to_owned(), None), (new.to_owned(), Some(node))]);
        Ok(())
    }

    /// Removes a directory with everything in it, or a file.
    pub(super) fn remove_tree(&mut self, path: &Path) -> io::Result<()> {
        let at = self.find(path)?;
        if let Node::Dir(dir) = &self.nodes[at] {
            let names: Vec<String> = dir.now.keys().cloned().collect();
            names.iter().try_for_each(|name| self.remove_tree(&path.join(name)))?;
        }
        self.free(at);
        let (dir, name) = self.place(path)?;
        dir.change(vec![(name.to_owned(), None)]);
        Ok(())
    }
}
