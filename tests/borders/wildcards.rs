//! Arms that take whatever is left, in a match over steps or virtual interfaces: a further kind would slip through.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{ExprMatch, ItemImpl, Pat, Path, Type};

use crate::source::{Crate, File};

/// The types of which a match must name every variant.
const COMPLETE: [&str; 3] = ["Step", "VirtualInterface", "VirtualKind"];

pub fn found(krate: &Crate) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in krate.files.iter().filter(|file| !file.for_tests) {
        Matches { file, own: None, wrong: &mut wrong }.visit_file(&file.syntax);
    }
    wrong
}

struct Matches<'a> {
    file: &'a File,
    /// The type whose methods are read: what `Self` is.
    own: Option<String>,
    wrong: &'a mut Vec<String>,
}

impl<'ast> Visit<'ast> for Matches<'_> {
    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let outer = self.own.take();
        if let Type::Path(own) = &*item.self_ty {
            self.own = own.path.segments.last().map(|segment| segment.ident.to_string());
        }
        visit::visit_item_impl(self, item);
        self.own = outer;
    }

    fn visit_expr_match(&mut self, expression: &'ast ExprMatch) {
        let mut names = Paths { own: self.own.clone(), complete: None };
        expression.arms.iter().for_each(|arm| names.visit_pat(&arm.pat));
        if let Some(of) = names.complete {
            for arm in expression.arms.iter().filter(|arm| arm.guard.is_none() && takes_anything(&arm.pat)) {
                let (file, line) = (self.file.path.display(), arm.pat.span().start().line);
                self.wrong.push(format!("{file}:{line}: an arm for all other variants of `{of}`"));
            }
        }
        visit::visit_expr_match(self, expression);
    }
}

fn takes_anything(pattern: &Pat) -> bool {
    match pattern {
        Pat::Wild(_) => true,
        Pat::Ident(name) => name.subpat.is_none() && name.ident.to_string().starts_with(char::is_lowercase),
        Pat::Tuple(tuple) => tuple.elems.iter().all(takes_anything),
        Pat::Reference(inner) => takes_anything(&inner.pat),
        _ => false,
    }
}

/// Whether one of the patterns names a variant of a type that is to be complete.
struct Paths {
    own: Option<String>,
    complete: Option<String>,
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_path(&mut self, path: &'ast Path) {
        let parts: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let parent = parts.iter().rev().nth(1).map(|name| match &self.own {
            Some(own) if name == "Self" => own.clone(),
            _ => name.clone(),
        });
        if let Some(parent) = parent.filter(|name| COMPLETE.contains(&name.as_str())) {
            self.complete = Some(parent);
        }
        visit::visit_path(self, path);
    }
}
