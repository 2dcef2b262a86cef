//! Members of an object, read one at a time; what is wrong with them is gathered.

use crate::{Fault, Problem};
use serde_json::{Map, Value};
use std::cell::RefCell;

/// What was found to be wrong.
#[derive(Default)]
pub(crate) struct Faults(RefCell<Vec<Fault>>);

/// Of a message that is wrong everywhere not everything is told.
const FAULTS_MAX: usize = 32;
/// How much of the name of an unknown member is told.
const NAME_CHARS_MAX: usize = 64;

impl Faults {
    pub(crate) fn into_all(self) -> Vec<Fault> {
        self.0.into_inner()
    }

    pub(crate) fn add(&self, pointer: String, problem: Problem) {
        let mut faults = self.0.borrow_mut();
        if faults.len() < FAULTS_MAX {
            faults.push(Fault { pointer: pointer.into(), problem });
        }
    }
}

/// An object and its place in the message.
pub(crate) struct Fields<'v> {
    object: &'v Map<String, Value>,
    at: String,
    faults: &'v Faults,
    known: RefCell<Vec<&'static str>>,
}

/// What a text may be: its name among faults, and whether it is one.
pub(crate) type Form = (&'static str, fn(&str) -> bool);

impl<'v> Fields<'v> {
    pub(crate) fn new(object: &'v Map<String, Value>, at: &str, faults: &'v Faults) -> Self {
        Self { object, at: at.to_owned(), faults, known: RefCell::default() }
    }

    pub(crate) fn fault(&self, name: &str, problem: Problem) {
        //= https://www.rfc-editor.org/rfc/rfc6901#section-3
        // A tilde and a slash within a name are escaped.
        let name = name.replace('~', "~0").replace('/', "~1");
        self.faults.add(format!("{}/{name}", self.at), problem);
    }

    /// A member that may be missing.
    pub(crate) fn find(&self, name: &'static str) -> Option<&'v Value> {
        self.known.borrow_mut().push(name);
        self.object.get(name)
    }

    /// One that has to be there.
    pub(crate) fn need(&self, name: &'static str) -> Option<&'v Value> {
        let found = self.find(name);
        if found.is_none() {
            self.fault(name, Problem::Missing);
        }
        found
    }

    /// A text of 1 to so many characters, none of them a control character.
    pub(crate) fn text(&self, name: &str, value: &'v Value, chars_max: usize) -> Option<&'v str> {
        let Some(text) = value.as_str() else {
            self.fault(name, Problem::Type("text"));
            return None;
        };
        let chars = text.chars().take(chars_max + 1).count();
        if chars == 0 || chars > chars_max {
            self.fault(name, Problem::Range(1, chars_max as u64));
            return None;
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
            self.fault(name, Problem::Form("text without control characters"));
            return None;
        }
        Some(text)
    }

    /// A text of such a form.
    pub(crate) fn formed(&self, name: &str, value: &'v Value, (form, is_formed): Form) -> Option<&'v str> {
        let text = self.text(name, value, TEXT_CHARS_MAX)?;
        if !is_formed(text) {
            self.fault(name, Problem::Form(form));
            return None;
        }
        Some(text)
    }

    /// A word of a list.
    pub(crate) fn word<T>(
        &self,
        name: &str,
        value: &Value,
        words: &'static [&'static str],
        meant: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let meant = value.as_str().and_then(meant);
        if meant.is_none() {
            self.fault(name, Problem::Word(words));
        }
        meant
    }

    /// An integer within bounds.
    pub(crate) fn integer(&self, name: &str, value: &Value, least: u64, most: u64) -> Option<u64> {
        let Some(number) = value.as_u64() else {
            self.fault(name, Problem::Type("an integer"));
            return None;
        };
        if !(least..=most).contains(&number) {
            self.fault(name, Problem::Range(least, most));
            return None;
        }
        Some(number)
    }

    /// A number from 0 to 1.
    pub(crate) fn share(&self, name: &str, value: &Value) -> Option<f64> {
        let Some(number) = value.as_f64() else {
            self.fault(name, Problem::Type("a number"));
            return None;
        };
        if !(0.0..=1.0).contains(&number) {
            self.fault(name, Problem::Range(0, 1));
            return None;
        }
        Some(number)
    }

    pub(crate) fn flag(&self, name: &str, value: &Value) -> Option<bool> {
        let flag = value.as_bool();
        if flag.is_none() {
            self.fault(name, Problem::Type("true or false"));
        }
        flag
    }

    pub(crate) fn object(&self, name: &str, value: &'v Value) -> Option<&'v Map<String, Value>> {
        let object = value.as_object();
        if object.is_none() {
            self.fault(name, Problem::Type("an object"));
        }
        object
    }

    /// The members of a member.
    pub(crate) fn within(&self, name: &str, value: &'v Value) -> Option<Self> {
        Some(self.of(self.object(name, value)?, name))
    }

    /// The members of an object that stands in a member, of which only some are looked at.
    pub(crate) fn of(&self, object: &'v Map<String, Value>, name: &str) -> Self {
        Self::new(object, &format!("{}/{name}", self.at), self.faults)
    }

    /// Texts of a form, at least so many of them.
    pub(crate) fn texts(&self, name: &'static str, value: &'v Value, least: usize, form: Form) -> Vec<Box<str>> {
        let Some(values) = value.as_array() else {
            self.fault(name, Problem::Type("a list"));
            return Vec::new();
        };
        if !(least..=ELEMENTS_MAX).contains(&values.len()) {
            self.fault(name, Problem::Range(least as u64, ELEMENTS_MAX as u64));
            return Vec::new();
        }
        let each = self.of(self.object, name);
        let texts = values.iter().enumerate();
        texts.filter_map(|(index, value)| each.formed(&index.to_string(), value, form).map(Box::from)).collect()
    }

    /// What nobody has asked for is not known.
    pub(crate) fn end(&self) {
        let known = self.known.borrow();
        for name in self.object.keys().filter(|name| !known.contains(&name.as_str())) {
            let shown: String = name.chars().take(NAME_CHARS_MAX).collect();
            self.fault(&shown, Problem::Unknown);
        }
    }
}

/// Characters of a text of which nothing else is said, and elements of a list.
pub(crate) const TEXT_CHARS_MAX: usize = 1_024;
pub(crate) const ELEMENTS_MAX: usize = 64;
