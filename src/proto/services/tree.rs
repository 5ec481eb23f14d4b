//! The services of a payload as values, in the order of the text: members of an object may come twice, which a map hides.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The one member of a payload whose value is kept.
const KEPT: &str = "services";
/// Lists and objects in one another, of which the innermost is a command or an environment. What is in deeper ones is
/// passed over: such a value is wrong whatever is in it.
const DEPTH_MAX: usize = 4;
/// Values that are kept, so that no text becomes many times as large in memory. What services may have comes to 17,000.
const VALUES_MAX: usize = 500_000;
/// What stands for a value that is not kept.
const PASSED_OVER: Node = Node::Other("what is passed over");

/// A value of JSON.
pub(super) enum Node {
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// An object, with each member that is written.
    Object(Vec<(String, Node)>),
    /// Anything else, in words.
    Other(&'static str),
}

impl Node {
    /// What kind of value it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
            Self::Other(kind) => kind,
        }
    }
}

/// Reads a payload. What is wrong is told with line and column.
pub(super) fn read(text: &str) -> Result<Node, String> {
    let values_left = Cell::new(VALUES_MAX);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let root = Reader { depth: 0, values_left: &values_left }.deserialize(&mut deserializer);
    root.and_then(|root| deserializer.end().map(|()| root)).map_err(|error| error.to_string())
}

/// Reads a value that has so many lists and objects around it.
#[derive(Clone, Copy)]
struct Reader<'c> {
    depth: usize,
    values_left: &'c Cell<usize>,
}

impl Reader<'_> {
    /// The reader of what is in this value, unless that is passed over.
    fn inner<E: Error>(self) -> Result<Option<Self>, E> {
        if self.depth >= DEPTH_MAX {
            return Ok(None);
        }
        let Some(left) = self.values_left.get().checked_sub(1) else {
            return Err(E::custom(format_args!("more than {VALUES_MAX} values")));
        };
        self.values_left.set(left);
        Ok(Some(Self { depth: self.depth + 1, ..self }))
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Other("true or false"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Other("a number"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Other("a number"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Other("a number"))
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Other("null"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        loop {
            let item = match self.inner()? {
                Some(inner) => list.next_element_seed(inner)?,
                None => list.next_element::<IgnoredAny>()?.map(|_| PASSED_OVER),
            };
            match item {
                Some(item) if self.depth < DEPTH_MAX => items.push(item),
                Some(_) => {}
                None => return Ok(Node::List(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = object.next_key::<String>()? {
            let inner = self.inner()?.filter(|_| self.depth > 0 || name == KEPT);
            let value = match inner {
                Some(inner) => object.next_value_seed(inner)?,
                None => object.next_value::<IgnoredAny>().map(|_| PASSED_OVER)?,
            };
            if self.depth < DEPTH_MAX {
                members.push((name, value));
            }
        }
        Ok(Node::Object(members))
    }
}
