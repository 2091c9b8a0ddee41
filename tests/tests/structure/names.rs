//! What ARCHITECTURE.md follows a write and a read by exists: each `Type::function` that it names there.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};

use super::sources::{architecture, crate_roots, parsed, rust_files};

/// The functions of types, as `Type::function`.
#[derive(Default)]
struct Functions {
    of: Vec<String>,
    found: BTreeSet<String>,
}

impl<'a> Visit<'a> for Functions {
    fn visit_item_impl(&mut self, item: &'a syn::ItemImpl) {
        if let syn::Type::Path(path) = &*item.self_ty {
            let name = path.path.segments.last().expect("a path has a segment").ident.to_string();
            self.of.push(name);
            visit::visit_item_impl(self, item);
            self.of.pop();
        }
    }

    fn visit_item_trait(&mut self, item: &'a syn::ItemTrait) {
        self.of.push(item.ident.to_string());
        visit::visit_item_trait(self, item);
        self.of.pop();
    }

    fn visit_signature(&mut self, signature: &'a syn::Signature) {
        if let Some(of) = self.of.last() {
            self.found.insert(format!("{of}::{}", signature.ident));
        }
    }
}

/// The words of the form `Type::function` in code spans.
fn named(section: &str) -> BTreeSet<String> {
    let spans = section.split('`').skip(1).step_by(2);
    let is_function = |span: &&str| {
        span.split_once("::").is_some_and(|(of, function)| {
            of.starts_with(char::is_uppercase)
                && function.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
        })
    };
    spans.filter(is_function).map(str::to_owned).collect()
}

fn check(section: &str, functions: &BTreeSet<String>) -> Vec<String> {
    named(section).into_iter().filter(|name| !functions.contains(name)).collect()
}

#[test]
fn what_a_write_and_a_read_are_followed_by_exists() {
    let mut functions = Functions::default();
    for file in crate_roots().iter().flat_map(|root| rust_files(root)) {
        functions.visit_file(&parsed(&file));
    }
    for heading in ["One write, followed", "One strong read, followed"] {
        let section = architecture(heading);
        assert!(named(&section).len() >= 8, "{heading:?} names the functions that it goes through");
        let missing = check(&section, &functions.found);
        assert!(missing.is_empty(), "{heading:?} in ARCHITECTURE.md names {missing:?}, which do not exist");
    }
    assert_eq!(check("`Port::no_such_thing`", &functions.found), ["Port::no_such_thing"]);
}
