//! The crate as the compiler's parser sees it: its files, their modules, and the file in which a name is defined.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, Item, UseTree, Visibility};

use crate::support;

pub struct Crate {
    pub files: Vec<File>,
    by_module: BTreeMap<Vec<String>, usize>,
}

pub struct File {
    /// Below the project: `src/lab/mod.rs`.
    pub path: PathBuf,
    /// `["lab"]`; empty for the crate itself.
    pub module: Vec<String>,
    pub text: String,
    pub syntax: syn::File,
    /// Built for tests and fuzz targets only.
    pub for_tests: bool,
    names: BTreeMap<String, Name>,
    globs: Vec<Vec<String>>,
}

/// What a name in a module is.
enum Name {
    Defined,
    Imported(Vec<String>),
}

/// Where a path leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// To something defined in this file.
    Item(usize),
    /// To the module itself.
    Module(usize),
}

/// One name of a `use`: its path, the name it has here (`*` for all), and its line.
pub struct Use {
    pub path: Vec<String>,
    pub name: String,
    pub line: usize,
    pub public: bool,
}

impl File {
    /// The first part of its path: the folder, or the file itself.
    pub fn room(&self) -> String {
        let name = self.path.strip_prefix("src").expect("a file of src").iter().next().expect("a name");
        name.to_string_lossy().trim_end_matches(".rs").to_owned()
    }

    /// Whether it is the mod.rs of a room.
    pub fn is_entrance(&self) -> bool {
        self.path.iter().count() == 3 && self.path.ends_with("mod.rs")
    }
}

impl Crate {
    pub fn read() -> Self {
        let mut paths = Vec::new();
        walk(&support::project("src"), &mut paths);
        paths.sort();
        let files: Vec<File> = paths.iter().map(|path| read(path)).collect();
        let modules = files.iter().enumerate().filter(|(_, file)| !file.path.ends_with("main.rs"));
        let by_module = modules.map(|(index, file)| (file.module.clone(), index)).collect();
        let mut krate = Self { files, by_module };
        for index in 0..krate.files.len() {
            krate.files[index].for_tests = krate.is_for_tests(&krate.files[index].module);
        }
        krate
    }

    /// Whether the module or one around it is declared with a `cfg` that names tests.
    fn is_for_tests(&self, module: &[String]) -> bool {
        (1..=module.len()).any(|length| {
            let (name, parent) = module[..length].split_last().expect("not empty");
            let parent = self.by_module.get(parent).map(|index| &self.files[*index].syntax);
            let mut declared = parent.into_iter().flat_map(|syntax| &syntax.items);
            declared.any(|item| matches!(item, Item::Mod(child) if child.ident == name && for_tests(&child.attrs)))
        })
    }

    /// Where a path that is written in a module leads, if it stays in this crate.
    pub fn resolve(&self, module: &[String], path: &[String]) -> Option<Target> {
        self.follow(module, path, 0)
    }

    fn follow(&self, module: &[String], path: &[String], depth: usize) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" | "nslab" => self.inside(&[], rest, depth),
            "self" => self.inside(module, rest, depth),
            "super" => self.inside(module.split_last()?.1, rest, depth),
            _ => self.inside(module, path, depth),
        }
    }

    /// Where the names of a path lead, from a module inward.
    fn inside(&self, module: &[String], path: &[String], depth: usize) -> Option<Target> {
        let index = *self.by_module.get(module)?;
        let Some((name, rest)) = path.split_first() else { return Some(Target::Module(index)) };
        if name == "super" || name == "self" || depth > 20 {
            return if depth > 20 { None } else { self.follow(module, path, depth + 1) };
        }
        let child: Vec<String> = module.iter().chain([name]).cloned().collect();
        if self.by_module.contains_key(&child) {
            return self.inside(&child, rest, depth + 1);
        }
        let file = &self.files[index];
        match file.names.get(name) {
            Some(Name::Defined) => Some(Target::Item(index)),
            Some(Name::Imported(from)) if from != path => {
                let whole: Vec<String> = from.iter().chain(rest).cloned().collect();
                self.follow(module, &whole, depth + 1)
            }
            Some(Name::Imported(_)) => None,
            None => file.globs.iter().find_map(|from| {
                let whole: Vec<String> = from.iter().chain(path).cloned().collect();
                self.follow(module, &whole, depth + 1)
            }),
        }
    }
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

fn read(full: &Path) -> File {
    let path = full.strip_prefix(support::project("")).expect("a file of the project").to_owned();
    let text = fs::read_to_string(full).expect("a file");
    let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut module: Vec<String> =
        path.with_extension("").iter().skip(1).map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        module.pop();
    }
    let (mut names, mut globs) = (BTreeMap::new(), Vec::new());
    for item in &syntax.items {
        if let Item::Use(import) = item {
            for part in uses(import) {
                if part.name == "*" {
                    globs.push(part.path);
                } else {
                    names.insert(part.name, Name::Imported(part.path));
                }
            }
        } else {
            names.extend(defined(item).into_iter().map(|name| (name, Name::Defined)));
        }
    }
    File { path, module, text, syntax, for_tests: false, names, globs }
}

/// The names that an item defines; of a macro's call, each name in it might be one.
fn defined(item: &Item) -> Vec<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        Item::Macro(item) => {
            return item.ident.iter().map(ToString::to_string).chain(words(&item.mac.tokens)).collect();
        }
        _ => return Vec::new(),
    };
    vec![name.to_string()]
}

fn words(tokens: &TokenStream) -> Vec<String> {
    let words = tokens.clone().into_iter().filter_map(|token| match token {
        TokenTree::Ident(word) => Some(word.to_string()),
        _ => None,
    });
    words.collect()
}

/// Whether something is built for tests and fuzz targets only.
pub fn for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).any(|attribute| {
        let condition = attribute.meta.require_list().map(|list| list.tokens.to_string()).unwrap_or_default();
        condition.contains("test") && !condition.contains("not")
    })
}

/// The names of a `use`, one by one.
pub fn uses(import: &syn::ItemUse) -> Vec<Use> {
    let mut found = Vec::new();
    let public = !matches!(import.vis, Visibility::Inherited);
    flatten(&import.tree, &mut Vec::new(), public, &mut found);
    found
}

fn flatten(tree: &UseTree, path: &mut Vec<String>, public: bool, found: &mut Vec<Use>) {
    let mut push = |path: Vec<String>, name: String, span: proc_macro2::Span| {
        found.push(Use { path, name, line: span.start().line, public });
    };
    match tree {
        UseTree::Path(part) => {
            path.push(part.ident.to_string());
            flatten(&part.tree, path, public, found);
            path.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, path, public, found)),
        UseTree::Glob(glob) => push(path.clone(), "*".to_owned(), glob.star_token.spans[0]),
        UseTree::Name(name) if name.ident == "self" => {
            push(path.clone(), path.last().cloned().unwrap_or_default(), name.ident.span());
        }
        UseTree::Name(name) => {
            let whole = path.iter().cloned().chain([name.ident.to_string()]).collect();
            push(whole, name.ident.to_string(), name.ident.span());
        }
        UseTree::Rename(name) => {
            let own = (name.ident != "self").then(|| name.ident.to_string());
            push(path.iter().cloned().chain(own).collect(), name.rename.to_string(), name.ident.span());
        }
    }
}
