//! What a file imports: by `use`, by a path in the code, by a path in a macro's call.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{ExprCall, ImplItem, Item, ItemUse, Macro, Path};

use crate::source::{Crate, File, Target, for_tests, uses};

pub struct Import {
    pub line: usize,
    /// As it is written: `crate::lab::Route`.
    pub written: String,
    /// The room that it names itself; none for a name that a `use` has brought.
    pub room: Option<String>,
    /// The file that defines what it names; none for what is only passed on to others (`pub use`).
    pub file: Option<usize>,
}

pub fn of(krate: &Crate, file: &File) -> Vec<Import> {
    let mut reader = Reader { krate, file, found: Vec::new() };
    reader.visit_file(&file.syntax);
    reader.found
}

struct Reader<'a> {
    krate: &'a Crate,
    file: &'a File,
    found: Vec<Import>,
}

impl Reader<'_> {
    fn add(&mut self, path: &[String], line: usize, passed_on: bool) {
        let Some(target) = self.krate.resolve(&self.file.module, path) else { return };
        let file = match target {
            Target::Item(index) => (!passed_on).then_some(index),
            Target::Module(_) => None,
        };
        let room = self.written_room(path);
        self.found.push(Import { line, written: path.join("::"), room, file });
    }

    /// The room that a path names, where it says so itself: what a room passes on is its own.
    fn written_room(&self, path: &[String]) -> Option<String> {
        let ups = path.iter().take_while(|part| *part == "super").count();
        let root = match path[0].as_str() {
            "crate" | "nslab" => return path.get(1).filter(|_| path.len() > 1).cloned(),
            "super" if ups == self.file.module.len() => return path.get(ups).cloned(),
            "super" | "self" => self.file.module.first(),
            _ => None,
        };
        root.cloned()
    }

    fn path(&mut self, parts: &[String], span: Span) {
        self.add(parts, span.start().line, false);
    }

    /// The paths in what a macro is called with.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut parts: Vec<String> = Vec::new();
        let mut start = Span::call_site();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(word) => {
                    if colons != 2 {
                        self.end(&mut parts, start);
                        start = word.span();
                    }
                    parts.push(word.to_string());
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => {
                    self.end(&mut parts, start);
                    self.tokens(group.stream());
                }
                _ => self.end(&mut parts, start),
            }
            colons = 0;
        }
        self.end(&mut parts, start);
    }

    fn end(&mut self, parts: &mut Vec<String>, start: Span) {
        if parts.len() > 1 || parts.first().is_some_and(|name| is_type(name)) {
            self.path(parts, start);
        }
        parts.clear();
    }
}

/// A name alone is taken for what the module calls so if it is not that of a variable.
fn is_type(name: &str) -> bool {
    name.starts_with(|first: char| first.is_uppercase())
}

fn parts(path: &Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if !matches!(item, ImplItem::Fn(function) if for_tests(&function.attrs)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_use(&mut self, import: &'ast ItemUse) {
        for part in uses(import) {
            self.add(&part.path, part.line, part.public);
        }
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let syn::Expr::Path(function) = &*call.func {
            self.path(&parts(&function.path), function.path.segments[0].ident.span());
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let parts = parts(path);
        if parts.len() > 1 || is_type(&parts[0]) {
            self.path(&parts, path.segments[0].ident.span());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        visit::visit_macro(self, call);
        self.tokens(call.tokens.clone());
    }
}
