//! What a library offers, read from its sources: what its root exports, with fields, variants, methods and traits.
//!
//! A list by `syn` knows no types, so it takes an implementation to be of the type with that name.

use std::collections::BTreeMap;
use std::path::Path;

use quote::ToTokens;
use syn::{Attribute, Fields, ImplItem, Item, TraitItem, Type, UseTree, Visibility};

use super::sources::{parsed, rust_files};

type Module = Vec<String>;

/// A public item.
pub struct PublicItem {
    /// Its path below the crate's root.
    pub path: String,
    /// Its own line, and one for each of its parts, sorted.
    pub lines: Vec<String>,
    /// What its documentation must show.
    pub docs: Docs,
}

/// What matters about the documentation of an item.
#[derive(Default)]
pub struct Docs {
    /// The text of the item, and of its methods.
    pub text: String,
    /// Whether it does something by itself: a trait, or a type with methods, and no error.
    pub acts: bool,
}

/// A crate's sources, as modules with their items.
struct Sources(BTreeMap<Module, Vec<Item>>);

/// The public items of a library, by path. `root` is its folder `src`.
pub fn of(root: &Path) -> Vec<PublicItem> {
    let mut sources = Sources(BTreeMap::new());
    for file in rust_files(root) {
        let inside = file.strip_prefix(root).expect("a file in the folder").with_extension("");
        let mut module: Module = inside.iter().map(|part| part.to_str().expect("UTF-8").to_owned()).collect();
        if module.last().is_some_and(|last| last == "mod" || last == "lib") {
            module.pop();
        }
        sources.add(module, parsed(&file).items);
    }
    let mut found = BTreeMap::new();
    sources.offer(&Module::new(), &Module::new(), &mut found);
    found.into_values().collect()
}

impl Sources {
    /// Adds a module, and those that stand in its file.
    fn add(&mut self, module: Module, items: Vec<Item>) {
        for item in &items {
            if let Item::Mod(inner) = item
                && let Some((_, inside)) = &inner.content
            {
                self.add(joined(&module, &inner.ident.to_string()), inside.clone());
            }
        }
        self.0.entry(module).or_default().extend(items);
    }

    /// Notes what a module offers, under the path at which its users find it.
    fn offer(&self, module: &Module, at: &Module, found: &mut BTreeMap<String, PublicItem>) {
        for item in self.0.get(module).into_iter().flatten() {
            match item {
                Item::Mod(inner) if is_offered(&inner.vis, &inner.attrs) => {
                    let name = inner.ident.to_string();
                    self.offer(&joined(module, &name), &joined(at, &name), found);
                }
                Item::Use(import) if is_offered(&import.vis, &import.attrs) => {
                    for (path, name) in leaves(&import.tree) {
                        self.reexport(module, &path, &joined(at, &name), found);
                    }
                }
                item => {
                    if let Some((name, vis, attrs)) = head(item)
                        && is_offered(vis, attrs)
                    {
                        self.note(item, &joined(at, &name), found);
                    }
                }
            }
        }
    }

    /// Notes an item that is offered under another path than its own.
    fn reexport(
        &self,
        from: &Module,
        path: &[String],
        at: &Module,
        found: &mut BTreeMap<String, PublicItem>,
    ) {
        match self.definition(from, path) {
            Some(Item::Mod(_)) => {
                let module: Module = from.iter().chain(path).cloned().collect();
                self.offer(&module, at, found);
            }
            Some(item) => self.note(item, at, found),
            None => {
                let (path, at) = (path.join("::"), at.join("::"));
                let lines = vec![format!("pub use {path} as {at}")];
                found.insert(at.clone(), PublicItem { path: at, lines, docs: Docs::default() });
            }
        }
    }

    /// The item behind a path, through what modules export in turn; `None` if it is another crate's.
    fn definition(&self, from: &Module, path: &[String]) -> Option<&Item> {
        let (path, mut module): (&[String], Module) = match path.first().map(String::as_str) {
            Some("crate") => (&path[1..], Module::new()),
            Some("self") => (&path[1..], from.clone()),
            _ => (path, from.clone()),
        };
        let (name, folders) = path.split_last()?;
        module.extend(folders.iter().cloned());
        let items = self.0.get(&module)?;
        let own = items.iter().find(|item| head(item).is_some_and(|(own, ..)| own == *name));
        own.or_else(|| {
            let imports = items.iter().filter_map(|item| match item {
                Item::Use(import) => Some(leaves(&import.tree)),
                _ => None,
            });
            let (path, _) = imports.flatten().find(|(path, known)| known == name && path.len() > 1)?;
            self.definition(&module, &path)
        })
    }

    fn note(&self, item: &Item, at: &Module, found: &mut BTreeMap<String, PublicItem>) {
        let Some((name, _, attrs)) = head(item) else { return };
        let path = at.join("::");
        let mut lines = vec![];
        let mut docs = Docs { text: docs_of(attrs), acts: matches!(item, Item::Trait(_)) };
        describe(item, &path, &mut lines);
        if matches!(item, Item::Struct(_) | Item::Enum(_)) {
            for implementation in self.implementations(&name) {
                let described = implemented(implementation, &path, &mut docs.text);
                docs.acts |= implementation.trait_.is_none() && !described.is_empty();
                lines.extend(described);
            }
            docs.acts &= !attrs.iter().any(|attribute| text(attribute).contains("Error"));
        }
        lines[1..].sort();
        found.insert(path.clone(), PublicItem { path, lines, docs });
    }

    fn implementations<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s syn::ItemImpl> {
        self.0.values().flatten().filter_map(move |item| match item {
            Item::Impl(found) if !is_test(&found.attrs) && type_name(&found.self_ty)? == name => Some(found),
            _ => None,
        })
    }
}

/// An item's line, and those of its fields, variants or methods.
fn describe(item: &Item, path: &str, lines: &mut Vec<String>) {
    let marks = |attrs: &[Attribute]| -> String {
        let kept = |attribute: &&Attribute| {
            ["derive", "non_exhaustive", "must_use"].iter().any(|name| attribute.path().is_ident(name))
        };
        attrs.iter().filter(kept).map(|attribute| format!("{} ", text(attribute))).collect()
    };
    match item {
        Item::Struct(one) => {
            lines.push(format!("{}struct {path}{}", marks(&one.attrs), generics(&one.generics)));
            fields(&one.fields, path, true, lines);
        }
        Item::Enum(one) => {
            lines.push(format!("{}enum {path}{}", marks(&one.attrs), generics(&one.generics)));
            for variant in &one.variants {
                let name = format!("{path}::{}", variant.ident);
                lines.push(format!("variant {name}"));
                fields(&variant.fields, &name, false, lines);
            }
        }
        Item::Trait(one) => {
            let bounds = text(&one.supertraits);
            lines.push(format!("trait {path}{}: {bounds}", generics(&one.generics)));
            for part in &one.items {
                lines.push(match part {
                    TraitItem::Fn(method) => {
                        let kind = if method.default.is_some() { "provided" } else { "required" };
                        format!("{kind} {path}: {}", text(&method.sig))
                    }
                    TraitItem::Type(one) => {
                        format!("required {path}: type {}: {}", one.ident, text(&one.bounds))
                    }
                    TraitItem::Const(one) => format!("const {path}: {}: {}", one.ident, text(&one.ty)),
                    part => format!("required {path}: {}", text(part)),
                });
            }
        }
        Item::Fn(one) => lines.push(format!("{path}: {}", text(&one.sig))),
        Item::Const(one) => lines.push(format!("const {path}: {}", text(&one.ty))),
        Item::Static(one) => lines.push(format!("static {path}: {}", text(&one.ty))),
        Item::Type(one) => lines.push(format!("type {path}{} = {}", generics(&one.generics), text(&one.ty))),
        Item::Macro(_) => lines.push(format!("macro {path}")),
        _ => lines.push(path.to_owned()),
    }
}

/// The public fields. Those of a variant are all public.
fn fields(fields: &Fields, path: &str, need_pub: bool, lines: &mut Vec<String>) {
    for (index, field) in fields.iter().enumerate() {
        if need_pub && !matches!(field.vis, Visibility::Public(_)) {
            continue;
        }
        let name = field.ident.as_ref().map_or(index.to_string(), ToString::to_string);
        lines.push(format!("field {path}::{name}: {}", text(&field.ty)));
    }
}

/// The lines of an implementation. Adds what its methods' documentation says.
fn implemented(found: &syn::ItemImpl, path: &str, docs: &mut String) -> Vec<String> {
    if let Some((of, _)) = &found.trait_ {
        let line = format!("impl{} {} for {}", generics(&found.generics), text(of), text(&found.self_ty));
        return vec![line];
    }
    let mut lines = Vec::new();
    for part in &found.items {
        match part {
            ImplItem::Fn(method) if is_offered(&method.vis, &method.attrs) => {
                docs.push_str(&docs_of(&method.attrs));
                lines.push(format!("{path}: {}", text(&method.sig)));
            }
            ImplItem::Const(one) if is_offered(&one.vis, &one.attrs) => {
                lines.push(format!("const {path}::{}: {}", one.ident, text(&one.ty)));
            }
            _ => {}
        }
    }
    lines
}

/// An item's name, visibility and attributes.
fn head(item: &Item) -> Option<(String, &Visibility, &Vec<Attribute>)> {
    let (ident, vis, attrs) = match item {
        Item::Struct(one) => (&one.ident, &one.vis, &one.attrs),
        Item::Enum(one) => (&one.ident, &one.vis, &one.attrs),
        Item::Union(one) => (&one.ident, &one.vis, &one.attrs),
        Item::Trait(one) => (&one.ident, &one.vis, &one.attrs),
        Item::Fn(one) => (&one.sig.ident, &one.vis, &one.attrs),
        Item::Const(one) => (&one.ident, &one.vis, &one.attrs),
        Item::Static(one) => (&one.ident, &one.vis, &one.attrs),
        Item::Type(one) => (&one.ident, &one.vis, &one.attrs),
        Item::Mod(one) => (&one.ident, &one.vis, &one.attrs),
        _ => return None,
    };
    Some((ident.to_string(), vis, attrs))
}

/// What an import names, and under which name.
fn leaves(tree: &UseTree) -> Vec<(Vec<String>, String)> {
    match tree {
        UseTree::Path(path) => {
            let first = path.ident.to_string();
            let below = leaves(&path.tree).into_iter();
            let below = below.map(|(rest, name)| match name.as_str() {
                "self" => (vec![first.clone()], first.clone()),
                _ => ([vec![first.clone()], rest].concat(), name),
            });
            below.collect()
        }
        UseTree::Name(name) => vec![(vec![name.ident.to_string()], name.ident.to_string())],
        UseTree::Rename(name) => vec![(vec![name.ident.to_string()], name.rename.to_string())],
        UseTree::Glob(_) => vec![(vec!["*".to_owned()], "*".to_owned())],
        UseTree::Group(group) => group.items.iter().flat_map(leaves).collect(),
    }
}

fn is_offered(vis: &Visibility, attrs: &[Attribute]) -> bool {
    let is_hidden = attrs.iter().any(|attribute| text(attribute).contains("doc(hidden)"));
    matches!(vis, Visibility::Public(_)) && !is_hidden && !is_test(attrs)
}

fn is_test(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|attribute| {
        let text = text(attribute);
        text.starts_with("#[cfg(") && text.contains("test")
    })
}

fn type_name(of: &Type) -> Option<String> {
    match of {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
        _ => None,
    }
}

fn generics(generics: &syn::Generics) -> String {
    let bounds = generics.where_clause.as_ref().map_or(String::new(), |bounds| format!(" {}", text(bounds)));
    text(generics) + &bounds
}

fn docs_of(attrs: &[Attribute]) -> String {
    let docs = attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
    docs.map(|attribute| text(attribute) + "\n").collect()
}

/// The source of a piece of syntax, on one line, spaced as people write it.
fn text(of: &impl ToTokens) -> String {
    let mut text = of.to_token_stream().to_string().replace('\n', " ");
    for (wide, narrow) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" < ", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        ("& ", "&"),
        (" :", ":"),
        ("# [", "#["),
        (" ]", "]"),
        ("[ ", "["),
        (" ;", ";"),
        ("->(", "-> ("),
        (",>", ">"),
        (",)", ")"),
        ("- >", " ->"),
        (" ::", "::"),
    ] {
        text = text.replace(wide, narrow);
    }
    text
}

fn joined(module: &Module, name: &str) -> Module {
    let mut joined = module.clone();
    joined.push(name.to_owned());
    joined
}
