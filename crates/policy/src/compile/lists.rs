//! Reads lists.

use super::{reader::Item, section::Kind};

impl<'a> Item<'a> {
    /// As a list in which nothing stands twice.
    pub(super) fn list(&self, example: &str) -> Option<Vec<Item<'a>>> {
        self.list_by(example, str::to_owned)
    }

    /// As a list in which nothing stands twice, where what has the same `form` is the same.
    pub(super) fn list_by(&self, example: &str, form: impl Fn(&str) -> String) -> Option<Vec<Item<'a>>> {
        let list = self.sequence(example)?;
        let mut forms = Vec::new();
        for item in &list {
            let Some(text) = item.as_text() else { continue };
            let form = form(text);
            if forms.contains(&form) {
                item.refuse(format!("{} has {text:?} twice", item.name), "take one of them out");
            }
            forms.push(form);
        }
        Some(list)
    }

    /// As a list in which the same may stand twice.
    pub(super) fn sequence(&self, example: &str) -> Option<Vec<Item<'a>>> {
        let Some(values) = self.value.get_ref().as_array() else {
            self.wrong_type("a list", example);
            return None;
        };
        let kind = self.of_kind(|kind| match kind {
            Kind::List(kind) => Some(*kind),
            _ => None,
        })?;
        let (name, guessed, source) = (&self.name, self.guessed, self.source);
        let item = |value| Item { name: name.clone(), value, kind, guessed, source };
        Some(values.iter().map(item).collect())
    }

    /// As a list with something in it, and nothing twice.
    pub(super) fn items(&self, example: &str) -> Option<Vec<Item<'a>>> {
        self.items_by(example, str::to_owned)
    }

    /// As a list with something in it, and nothing twice that has the same `form`.
    pub(super) fn items_by(&self, example: &str, form: impl Fn(&str) -> String) -> Option<Vec<Item<'a>>> {
        self.filled(self.list_by(example, form)?, example)
    }

    /// A list with something in it.
    pub(super) fn filled(&self, list: Vec<Item<'a>>, example: &str) -> Option<Vec<Item<'a>>> {
        if list.is_empty() {
            self.refuse(
                format!("{} is an empty list", self.name),
                format!("name at least one, for example: {example}"),
            );
            return None;
        }
        Some(list)
    }

    /// As a list of text in which nothing stands twice; what is not text is noted and left out.
    pub(super) fn texts(&self, example: &str) -> Option<Vec<(Item<'a>, &'a str)>> {
        let items = self.list(example)?;
        Some(items.into_iter().filter_map(|item| item.text(example).map(|text| (item, text))).collect())
    }
}
