//! A TOML document that knows where everything stands, so that an error can name file, line, key, what was expected
//! and what was found. [`Section`] reads one table and refuses keys that nobody asked for.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Name of the file, or whatever the text was called.
    pub file: PathBuf,
    /// From 1; 0: the file as a whole.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// As in `peer[0].child[1].esp`; empty: no key in particular.
    pub key: String,
    /// What was expected and what was found.
    pub problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for ConfigError {}

pub(crate) type Result<T> = std::result::Result<T, ConfigError>;

/// The text and its name; makes errors from places.
pub(crate) struct Document<'i> {
    file: &'i Path,
    text: &'i str,
}

impl<'i> Document<'i> {
    pub(crate) fn new(file: &'i Path, text: &'i str) -> Self {
        Self { file, text }
    }

    pub(crate) fn file(&self) -> &'i Path {
        self.file
    }

    /// The parsed text; lend it to [`Section::root`].
    pub(crate) fn parse(&self) -> Result<Spanned<DeTable<'i>>> {
        DeTable::parse(self.text).map_err(|e| {
            let at = e.span().map_or(0, |s| s.start);
            self.error(at, "", format!("not TOML: {}", e.message()))
        })
    }

    fn error(&self, at: usize, key: &str, problem: String) -> ConfigError {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |i| i.saturating_add(1));
        ConfigError {
            file: self.file.to_owned(),
            line: before.matches('\n').count().saturating_add(1),
            column: before.get(line_start..).map_or(0, |l| l.chars().count()).saturating_add(1),
            key: key.to_owned(),
            problem,
        }
    }
}

/// A value, its key and its place.
pub(crate) struct Field<'d, T> {
    document: &'d Document<'d>,
    span: Range<usize>,
    pub(crate) key: String,
    pub(crate) value: T,
}

impl<'d, T> Field<'d, T> {
    /// An error at this place, in words of the caller's own.
    pub(crate) fn error(&self, problem: impl Into<String>) -> ConfigError {
        self.document.error(self.span.start, &self.key, problem.into())
    }

    /// "expected …, found …" with the text as it stands in the file.
    pub(crate) fn expected(&self, what: &str) -> ConfigError {
        let found = self.document.text.get(self.span.clone()).unwrap_or("nothing");
        let found = found.lines().next().unwrap_or("");
        self.error(format!("expected {what}, found {found}"))
    }

    fn with<U>(&self, value: U) -> Field<'d, U> {
        Field { document: self.document, span: self.span.clone(), key: self.key.clone(), value }
    }
}

impl<'d> Field<'d, &'d DeValue<'d>> {
    fn text(&self, what: &str) -> Result<Field<'d, &'d str>> {
        self.value.as_str().map(|s| self.with(s)).ok_or_else(|| self.expected(what))
    }
}

impl<'d> Field<'d, &'d str> {
    /// The value as its type reads it, with that type's own words in the error.
    pub(crate) fn read<T: FromStr<Err: fmt::Display>>(&self) -> Result<T> {
        self.value.parse().map_err(|e: T::Err| self.error(e.to_string()))
    }

    /// The value as `read` understands it, or an error that says `what` was expected.
    pub(crate) fn parse<T>(&self, what: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        read(self.value).ok_or_else(|| self.expected(what))
    }
}

/// One table of the document, named by its path. Remembers which keys were asked for.
pub(crate) struct Section<'d> {
    document: &'d Document<'d>,
    table: &'d DeTable<'d>,
    span: Range<usize>,
    path: String,
    asked: RefCell<Vec<&'static str>>,
}

impl<'d> Section<'d> {
    /// The whole document.
    pub(crate) fn root(document: &'d Document<'d>, table: &'d Spanned<DeTable<'d>>) -> Self {
        Self { document, table: table.get_ref(), span: 0..0, path: String::new(), asked: RefCell::default() }
    }

    fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The value of `key`, of whatever type.
    fn value(&self, key: &'static str) -> Option<Field<'d, &'d DeValue<'d>>> {
        self.asked.borrow_mut().push(key);
        let value = self.table.get(key)?;
        Some(Field { document: self.document, span: value.span(), key: self.name(key), value: value.get_ref() })
    }

    /// The string `key`; `what` says what it should be, as in "an IP address such as \"10.0.0.1\"".
    pub(crate) fn text(&self, key: &'static str, what: &str) -> Result<Option<Field<'d, &'d str>>> {
        self.value(key).map(|f| f.text(what)).transpose()
    }

    /// The string `key` of a secret: errors never repeat what stands there.
    pub(crate) fn hidden<T>(
        &self,
        key: &'static str,
        what: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(field) = self.value(key) else { return Ok(None) };
        let value = field.value.as_str().and_then(read);
        value.map(Some).ok_or_else(|| field.error(format!("expected {what} (what was found is not repeated here)")))
    }

    /// The string `key`, which must be there.
    pub(crate) fn needed(&self, key: &'static str, what: &str) -> Result<Field<'d, &'d str>> {
        self.text(key, what)?.ok_or_else(|| self.missing(key, what))
    }

    /// An error of this table as a whole: `key` is missing.
    pub(crate) fn missing(&self, key: &str, what: &str) -> ConfigError {
        self.document.error(self.span.start, &self.name(key), format!("missing; expected {what}"))
    }

    /// The string `key` as `read` understands it, or `default`.
    pub(crate) fn parsed<T>(
        &self,
        key: &'static str,
        what: &str,
        default: T,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T> {
        self.text(key, what)?.map_or(Ok(default), |f| f.parse(what, read))
    }

    /// The integer `key` within `range`, or `default`.
    pub(crate) fn integer<T: TryFrom<i64>>(
        &self,
        key: &'static str,
        range: std::ops::RangeInclusive<i64>,
        default: T,
    ) -> Result<T> {
        let Some(field) = self.value(key) else { return Ok(default) };
        let read = |i: &toml::de::DeInteger<'_>| i64::from_str_radix(&i.as_str().replace('_', ""), i.radix()).ok();
        field
            .value
            .as_integer()
            .and_then(read)
            .filter(|n| range.contains(n))
            .and_then(|n| T::try_from(n).ok())
            .ok_or_else(|| field.expected(&format!("an integer from {} to {}", range.start(), range.end())))
    }

    /// The strings of the array `key`; one string stands for an array of one. Empty when the key is absent.
    pub(crate) fn texts(&self, key: &'static str, what: &str) -> Result<Vec<Field<'d, &'d str>>> {
        let Some(field) = self.value(key) else { return Ok(Vec::new()) };
        let Some(array) = field.value.as_array() else { return Ok(vec![field.text(what)?]) };
        let item = |(i, v): (usize, &'d Spanned<DeValue<'d>>)| {
            Field { document: self.document, span: v.span(), key: format!("{}[{i}]", field.key), value: v.get_ref() }
                .text(what)
        };
        array.iter().enumerate().map(item).collect()
    }

    /// The table `[key]`; an empty one when it is absent.
    pub(crate) fn table(&self, key: &'static str) -> Result<Option<Section<'d>>> {
        let Some(field) = self.value(key) else { return Ok(None) };
        let table = field.value.as_table().ok_or_else(|| field.expected(&format!("a table, [{}]", field.key)))?;
        Ok(Some(self.child(table, field.span.clone(), field.key)))
    }

    /// The tables `[[key]]`, in order.
    pub(crate) fn tables(&self, key: &'static str) -> Result<Vec<Section<'d>>> {
        let Some(field) = self.value(key) else { return Ok(Vec::new()) };
        let wrong = || field.expected(&format!("tables, each opened by [[{}]]", field.key));
        let array = field.value.as_array().ok_or_else(wrong)?;
        let one = |(i, v): (usize, &'d Spanned<DeValue<'d>>)| {
            let table = v.get_ref().as_table().ok_or_else(wrong)?;
            Ok(self.child(table, v.span(), format!("{}[{i}]", field.key)))
        };
        array.iter().enumerate().map(one).collect()
    }

    fn child(&self, table: &'d DeTable<'d>, span: Range<usize>, path: String) -> Section<'d> {
        Section { document: self.document, table, span, path, asked: RefCell::default() }
    }

    /// Refuses the first key that was never asked for.
    pub(crate) fn finish(self) -> Result<()> {
        let asked = self.asked.borrow();
        match self.table.keys().filter(|k| !asked.contains(&k.get_ref().as_ref())).min_by_key(|k| k.span().start) {
            None => Ok(()),
            Some(k) => {
                let problem = format!("unknown key; expected one of {}", asked.join(", "));
                Err(self.document.error(k.span().start, &self.name(k.get_ref()), problem))
            }
        }
    }
}
