//! In each folder, the imports between its modules have no cycle.
//!
//! A folder is one module to those outside of it. A module may name its parents, and a parent its children: neither counts. What
//! only tests see does not count either.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

use super::sources::{crate_roots, parsed, rust_files};

/// A module's path in its crate; empty for the root.
pub type Module = Vec<String>;

/// The modules of a crate, each with what its file names.
#[derive(Default)]
pub struct Crate {
    files: BTreeMap<Module, Named>,
}

/// What a file names.
#[derive(Default)]
struct Named {
    /// Paths, made absolute.
    paths: BTreeSet<Vec<String>>,
    /// What it imports or exports under which name.
    imports: BTreeMap<String, Vec<String>>,
    /// Modules below it that only tests have.
    tests: BTreeSet<Module>,
}

/// One module names another one of the same folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    /// The folder's module.
    pub folder: Module,
    pub from: String,
    pub to: String,
}

impl Crate {
    pub fn read(root: &Path) -> Crate {
        Crate::of(rust_files(root).iter().map(|path| (module_of(root, path), parsed(path))))
    }

    fn of(files: impl Iterator<Item = (Module, syn::File)>) -> Crate {
        let mut files: BTreeMap<Module, Named> =
            files.map(|(module, file)| (module.clone(), Named::of(module, &file))).collect();
        let tests: BTreeSet<Module> = files.values().flat_map(|named| named.tests.clone()).collect();
        files.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
        Crate { files }
    }

    /// The arrows between modules of the same folder, of all folders.
    pub fn arrows(&self) -> BTreeSet<Arrow> {
        let mut arrows = BTreeSet::new();
        for (from, named) in &self.files {
            for path in &named.paths {
                let to = self.resolve(path, 0);
                let shared = from.iter().zip(&to).take_while(|(from, to)| from == to).count();
                if shared < from.len().min(to.len()) {
                    let folder = from[..shared].to_vec();
                    arrows.insert(Arrow { folder, from: from[shared].clone(), to: to[shared].clone() });
                }
            }
        }
        arrows
    }

    /// The module that a path leads to: through what is exported under another module's name, too.
    fn resolve(&self, path: &[String], depth: usize) -> Module {
        let known = (0..=path.len()).rev().find(|length| self.files.contains_key(&path[..*length]));
        let module = &path[..known.expect("a crate has a root")];
        let export = path.get(module.len()).and_then(|name| self.files[module].imports.get(name));
        match export {
            Some(export) if depth < 8 => self.resolve(export, depth + 1),
            _ => module.to_vec(),
        }
    }
}

impl Named {
    fn of(module: Module, file: &syn::File) -> Named {
        let mut reader = Reader { at: module, named: Named::default() };
        reader.visit_file(file);
        reader.named
    }
}

struct Reader {
    at: Module,
    named: Named,
}

impl Reader {
    /// A path from the crate's root; nothing if it leads out of the crate.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let mut base = self.at.clone();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => (base, rest) = (Vec::new(), &rest[1..]),
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|first| first == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            _ => return None,
        }
        base.extend_from_slice(rest);
        Some(base)
    }

    fn import(&mut self, tree: &syn::UseTree, mut path: Vec<String>) {
        match tree {
            syn::UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.import(&part.tree, path);
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.import(item, path.clone())),
            syn::UseTree::Name(name) => {
                let last = name.ident.to_string();
                let name = if last == "self" { path.last().cloned() } else { Some(last.clone()) };
                if last != "self" {
                    path.push(last);
                }
                self.imported(&path, name);
            }
            syn::UseTree::Rename(rename) => {
                path.push(rename.ident.to_string());
                self.imported(&path, Some(rename.rename.to_string()));
            }
            syn::UseTree::Glob(_) => self.imported(&path, None),
        }
    }

    fn imported(&mut self, path: &[String], name: Option<String>) {
        let absolute = self.absolute(path);
        if let Some(name) = name {
            // A path that begins with a module of the same file leads there.
            let leads_to = absolute.clone().unwrap_or_else(|| [&self.at, path].concat());
            self.named.imports.insert(name, leads_to);
        }
        self.named.paths.extend(absolute);
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
            || attribute.path().is_ident("test")
    })
}

impl<'a> Visit<'a> for Reader {
    fn visit_item(&mut self, item: &'a syn::Item) {
        let attributes = match item {
            syn::Item::Use(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Mod(item) => &item.attrs,
            _ => &Vec::new(),
        };
        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        } else if let syn::Item::Mod(item) = item {
            self.named.tests.insert([self.at.clone(), vec![item.ident.to_string()]].concat());
        }
    }

    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        self.at.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.at.pop();
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        self.import(&item.tree, Vec::new());
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1
            && let Some(absolute) = self.absolute(&segments)
        {
            self.named.paths.insert(absolute);
        }
        visit::visit_path(self, path);
    }
}

/// The module that a file holds.
fn module_of(root: &Path, file: &Path) -> Module {
    let inside: PathBuf = file.strip_prefix(root).expect("it was found below").with_extension("");
    let mut module: Module = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| last == "mod") || module == ["lib"] || module == ["main"] {
        module.pop();
    }
    module
}

/// A cycle among arrows of one folder, if there is one.
fn cycle(arrows: &BTreeSet<Arrow>) -> Option<Vec<String>> {
    let mut below: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for arrow in arrows {
        below.entry(&arrow.from).or_default().insert(&arrow.to);
    }
    // What points at nothing that is left has no part in a cycle.
    loop {
        let left: BTreeSet<&str> = below.keys().copied().collect();
        let before = left.len();
        below.retain(|_, to| {
            to.retain(|to| left.contains(to));
            !to.is_empty()
        });
        if below.len() == before {
            break;
        }
    }
    let mut way = vec![*below.keys().next()?];
    loop {
        let next = *below[way.last().expect("it begins somewhere")].first().expect("it points somewhere");
        if let Some(start) = way.iter().position(|module| *module == next) {
            let around = way[start..].iter().chain([&next]);
            return Some(around.map(|module| (*module).to_owned()).collect());
        }
        way.push(next);
    }
}

/// Cycles, of all folders.
fn cycles(krate: &Crate) -> Vec<String> {
    let mut folders: BTreeMap<Module, BTreeSet<Arrow>> = BTreeMap::new();
    for arrow in krate.arrows() {
        folders.entry(arrow.folder.clone()).or_default().insert(arrow);
    }
    let found = folders.iter().filter_map(|(folder, arrows)| Some((folder, cycle(arrows)?)));
    found.map(|(folder, cycle)| format!("in {:?}: {}", folder.join("::"), cycle.join(" -> "))).collect()
}

#[test]
fn no_folder_has_a_cycle_of_imports() {
    let mut found = Vec::new();
    for root in crate_roots() {
        let of = |cycle| format!("{} {cycle}", root.display());
        found.extend(cycles(&Crate::read(&root)).into_iter().map(of));
    }
    assert!(found.is_empty(), "modules import each other in a circle:\n{}", found.join("\n"));
}

#[cfg(test)]
mod proof {
    use super::*;

    fn crate_of(files: &[(&str, &str)]) -> Crate {
        Crate::of(files.iter().map(|(module, text)| {
            let module = module.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
            (module, syn::parse_file(text).expect("it is Rust"))
        }))
    }

    #[test]
    fn a_planted_cycle_is_found() {
        let up = "use super::b::B;";
        let down = "pub struct B; fn f(_: crate::c::C) {}";
        let around = "use crate::a::A; pub struct C;";
        let krate = crate_of(&[("", "mod a; mod b; mod c;"), ("a", up), ("b", down), ("c", around)]);
        assert_eq!(cycles(&krate), ["in \"\": a -> b -> c -> a"]);
    }

    #[test]
    fn a_cycle_through_what_a_folder_exports_is_found() {
        let files = [
            ("", "mod a; mod folder; pub use folder::Inner;"),
            ("a", "use crate::Inner; pub struct A;"),
            ("folder", "mod inner; pub use inner::Inner;"),
            ("folder::inner", "use crate::a::A; pub struct Inner;"),
        ];
        assert_eq!(cycles(&crate_of(&files)), ["in \"\": a -> folder -> a"]);
    }

    #[test]
    fn parents_children_and_tests_do_not_count() {
        let files = [
            ("", "mod a; mod b;"),
            ("a", "use self::child::C; pub struct A; #[cfg(test)] mod tests { use crate::b::B; }"),
            ("a::child", "use super::A; pub struct C;"),
            ("b", "use crate::a::A; #[cfg(test)] mod fixture; pub struct B;"),
            ("b::fixture", "use super::B;"),
        ];
        let krate = crate_of(&files);
        assert_eq!(cycles(&krate), [""; 0]);
        assert_eq!(krate.arrows().len(), 1, "b names a");
    }
}
