//! Inside the engine, imports go down the picture in ARCHITECTURE.md.

use super::imports::Crate;
use super::sources::{architecture, workspace};

/// The modules in the picture, row by row from the top.
fn rows() -> Vec<Vec<String>> {
    let section = architecture("Inside the engine");
    let picture = section.split("```text\n").nth(1).and_then(|rest| rest.split("```").next());
    let rows = picture.expect("a picture").lines().map(|line| {
        let words = line.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_');
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    });
    rows.filter(|row: &Vec<String>| !row.is_empty()).collect()
}

#[test]
fn imports_inside_the_engine_go_down_the_picture() {
    let rows = rows();
    let row = |module: &str| {
        let row = rows.iter().position(|row| row.iter().any(|name| name == module));
        row.unwrap_or_else(|| panic!("the picture in ARCHITECTURE.md lacks the module {module}"))
    };
    let engine = Crate::read(&workspace().join("engine/src"));
    let arrows: Vec<_> = engine.arrows().into_iter().filter(|arrow| arrow.folder.is_empty()).collect();
    assert!(arrows.len() > 20, "imports are read: {arrows:?}");
    for arrow in arrows {
        let (from, to) = (&arrow.from, &arrow.to);
        assert!(
            row(from) < row(to),
            "engine: {from} imports {to}, which does not stand below it in the picture"
        );
    }
}
