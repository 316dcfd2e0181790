//! SORT and SORT_RO: the elements of a key in an order, which values of other keys may decide.
//!
//! Keys that are named by patterns are known only once the elements are.  So a request with a pattern or a destination runs
//! alone (`needs_store`), any other one like every command on one key.

use std::borrow::Cow;
use std::cmp::Ordering;

use quartet_protocol::resp::Arguments;
use quartet_protocol::resp::number::parse_integer;

use super::lists::limits;
use super::sorted_set_bounds::parse_double;
use crate::command::{Call, Command, Flags, FoundKeys, Group, Handler, KeyAccess, Keys, Services};
use crate::refusal::Refusal;
use crate::store::{EntryRef, Keyspace, Side, ValueType};

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "sort",
        syntax: "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA] [STORE \
                 destination]",
        summary: "Sorts the elements in a list, a set, or a sorted set, optionally storing the result.",
        flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::DANGEROUS).union(Flags::EXCLUSIVE),
        handler: Handler::Data(sort),
        ..SORTS
    },
    Command {
        name: "sort_ro",
        syntax: "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]",
        summary: "Returns the sorted elements of a list, a set, or a sorted set.",
        since: "7.0.0",
        flags: Flags::READONLY.union(Flags::DANGEROUS).union(Flags::EXCLUSIVE),
        handler: Handler::Data(sort),
        ..SORTS
    },
];

/// The start of both rows.
const SORTS: Command = Command {
    access_in: Some(access_of_sort),
    complexity: "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of \
                 returned elements. When the elements are not sorted, complexity is O(N).",
    group: Group::Generic,
    keys: Keys::first(KeyAccess::ReadAccess),
    find_keys: Some(keys),
    needs_store,
    ..Command::ROW
};

/// How elements are compared, and what becomes of them.
struct Options<'a> {
    order: Order<'a>,
    is_descending: bool,
    is_by_text: bool,
    offset: i64,
    count: i64,
    shown: Vec<Shown<'a>>,
    destination: Option<&'a [u8]>,
}

/// What elements are compared by.
enum Order<'a> {
    /// Themselves.
    Elements,
    /// The values of other keys.
    Values(Pattern<'a>),
    /// Nothing: they stay in the order that they have.
    AsTheyAre,
}

/// A part of the reply for each element.
enum Shown<'a> {
    /// The element.
    Itself,
    /// The value of another key.
    Value(Pattern<'a>),
    /// Always null: a key without a place for the element.
    Nothing,
}

/// The name of a key with a place for an element, and perhaps of a field of it.
struct Pattern<'a> {
    before: &'a [u8],
    behind: &'a [u8],
    field: Option<&'a [u8]>,
}

/// An element, and what it is compared by.
struct Weighed {
    element: Vec<u8>,
    weight: Weight,
}

enum Weight {
    Number(f64),
    Text(Option<Vec<u8>>),
}

/// Whether a request reads or writes more than the key that it sorts.
fn needs_store(arguments: Arguments<'_>) -> bool {
    Options::parse(arguments, true).is_ok_and(|options| options.needs_store())
}

/// The key that is sorted, and the one that is written.
fn keys(arguments: Arguments<'_>, _: &Services) -> FoundKeys {
    let options = Options::parse(arguments, true)?;
    let named = [Some(arguments.at(1)), options.destination];
    Ok(named.into_iter().flatten().map(<[u8]>::to_vec).collect())
}

/// The first key is the source, another one the destination.
fn access_of_sort(_: Arguments<'_>, index: usize) -> KeyAccess {
    if index == 0 { KeyAccess::ReadAccess } else { KeyAccess::OverwriteUpdate }
}

fn sort(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let may_store = call.row.command.flags.contains(Flags::WRITE);
    let mut options = Options::parse(call.arguments, may_store)?;
    let key = call.key(1);
    let entry = call.keyspace.read(&key);
    if entry.is_some_and(|entry| entry.value_type() == ValueType::Set) {
        options.order_set();
    }
    let elements = entry.map(elements_of).transpose()?.unwrap_or_default();
    let sorted = options.sorted(elements, call.keyspace)?;
    let parts: Vec<Option<Vec<u8>>> =
        sorted.into_iter().flat_map(|element| options.parts_of(element, call.keyspace)).collect();
    match options.destination {
        Some(destination) => {
            let stored = parts.len();
            store(call, destination, parts);
            call.output.integer(stored as i64);
        }
        None => {
            call.output.array(parts.len());
            for part in parts {
                match part {
                    Some(part) => call.output.bulk(&part),
                    None => call.output.null(),
                }
            }
        }
    }
    Ok(())
}

/// The elements that a key holds, those of a sorted set in the order of their scores.
fn elements_of(entry: EntryRef<'_>) -> Result<Vec<Vec<u8>>, Refusal> {
    let parts = entry.parts()?;
    let mut elements = Vec::new();
    match parts.value_type() {
        ValueType::List => elements.extend(parts.list()?.elements_from(0).map(|element| element.to_vec())),
        ValueType::Set => parts.set()?.for_each(|member| elements.push(member.to_vec())),
        ValueType::SortedSet => parts.sorted_set()?.for_each(|member, _| elements.push(member.to_vec())),
        ValueType::String | ValueType::Hash | ValueType::Pinned => return Err(Refusal::WRONG_TYPE),
    }
    Ok(elements)
}

/// Replaces the destination by a list of the parts.  A missing part becomes an empty element.
fn store(call: &mut Call<'_, '_>, destination: &[u8], parts: Vec<Option<Vec<u8>>>) {
    let key = call.keyspace.store().key(destination);
    call.keyspace.remove(&key);
    let (limits, access) = (limits(call), call.keyspace.access);
    let written = call.keyspace.shard(&key).write_list(&key, limits, &access, |list| {
        list.push_all(Side::Right, parts.iter().map(|part| part.as_deref().unwrap_or_default()));
    });
    debug_assert!(written.is_ok(), "the key was removed");
}

impl<'a> Options<'a> {
    fn parse(arguments: Arguments<'a>, may_store: bool) -> Result<Options<'a>, Refusal> {
        let mut options = Options {
            order: Order::Elements,
            is_descending: false,
            is_by_text: false,
            offset: 0,
            count: -1,
            shown: Vec::new(),
            destination: None,
        };
        let mut words = arguments.from(2).iter();
        while let Some(word) = words.next() {
            match word.to_ascii_lowercase().as_slice() {
                b"asc" => options.is_descending = false,
                b"desc" => options.is_descending = true,
                b"alpha" => options.is_by_text = true,
                b"limit" if words.len() >= 2 => {
                    let mut number =
                        || parse_integer(words.next().unwrap_or_default()).ok_or(Refusal::NOT_AN_INTEGER);
                    (options.offset, options.count) = (number()?, number()?);
                }
                b"store" if may_store && words.len() >= 1 => options.destination = words.next(),
                b"by" if words.len() >= 1 => {
                    let pattern = Pattern::parse(words.next().unwrap_or_default());
                    options.order = pattern.map_or(Order::AsTheyAre, Order::Values);
                }
                b"get" if words.len() >= 1 => {
                    options.shown.push(Shown::parse(words.next().unwrap_or_default()))
                }
                _ => return Err(Refusal::SYNTAX),
            }
        }
        Ok(options)
    }

    /// Gives the members of a set, which have no order of their own, one that does not depend on how they are kept.
    fn order_set(&mut self) {
        if let Order::AsTheyAre = self.order {
            (self.order, self.is_by_text) = (Order::Elements, true);
        }
    }

    /// Whether other keys than the one that is sorted are read or written.
    fn needs_store(&self) -> bool {
        self.destination.is_some()
            || matches!(self.order, Order::Values(_))
            || self.shown.iter().any(|shown| matches!(shown, Shown::Value(_)))
    }

    /// The elements that are wanted, in their order.
    fn sorted(
        &self,
        mut elements: Vec<Vec<u8>>,
        keyspace: &mut Keyspace<'_>,
    ) -> Result<Vec<Vec<u8>>, Refusal> {
        let range = self.range(elements.len());
        if let Order::AsTheyAre = self.order {
            if self.is_descending {
                elements.reverse();
            }
            return Ok(elements.into_iter().take(range.end).skip(range.start).collect());
        }
        let mut weighed = Vec::with_capacity(elements.len());
        for element in elements {
            let weight = self.weight(&element, keyspace)?;
            weighed.push(Weighed { element, weight });
        }
        let is_by_values = matches!(self.order, Order::Values(_));
        let compare = |one: &Weighed, other: &Weighed| {
            let ordering = one.compare(other, is_by_values);
            if self.is_descending { ordering.reverse() } else { ordering }
        };
        if range.end < weighed.len() && range.end > 0 {
            // Only so many have to be in order.
            weighed.select_nth_unstable_by(range.end - 1, compare);
            weighed.truncate(range.end);
        }
        weighed.sort_by(compare);
        Ok(weighed.into_iter().take(range.end).skip(range.start).map(|weighed| weighed.element).collect())
    }

    fn range(&self, length: usize) -> std::ops::Range<usize> {
        let start = usize::try_from(self.offset).map_or(0, |offset| offset.min(length));
        let end = usize::try_from(self.count).map_or(length, |count| start.saturating_add(count).min(length));
        start..end
    }

    /// What an element is compared by.
    fn weight(&self, element: &[u8], keyspace: &mut Keyspace<'_>) -> Result<Weight, Refusal> {
        let value = match &self.order {
            Order::Values(pattern) => pattern.value(element, keyspace).map(Cow::Owned),
            _ => Some(Cow::Borrowed(element)),
        };
        if self.is_by_text {
            let is_of_another = matches!(self.order, Order::Values(_));
            return Ok(Weight::Text(value.filter(|_| is_of_another).map(Cow::into_owned)));
        }
        let number = match value {
            Some(value) => double(&value),
            // An element without a value counts as zero.
            None => Some(0.0),
        };
        let number =
            number.ok_or_else(|| Refusal::new("ERR One or more scores can't be converted into double"))?;
        Ok(Weight::Number(number))
    }

    /// What the reply has for an element.
    fn parts_of(&self, element: Vec<u8>, keyspace: &mut Keyspace<'_>) -> Vec<Option<Vec<u8>>> {
        if self.shown.is_empty() {
            return vec![Some(element)];
        }
        let part = |shown: &Shown<'_>| match shown {
            Shown::Itself => Some(element.clone()),
            Shown::Value(pattern) => pattern.value(&element, keyspace),
            Shown::Nothing => None,
        };
        self.shown.iter().map(part).collect()
    }
}

impl Weighed {
    fn compare(&self, other: &Weighed, is_by_values: bool) -> Ordering {
        match (&self.weight, &other.weight) {
            // Elements of one weight have an order all the same.
            (Weight::Number(one), Weight::Number(two)) => {
                let numbers = one.partial_cmp(two).unwrap_or(Ordering::Equal);
                numbers.then_with(|| self.element.cmp(&other.element))
            }
            (Weight::Text(one), Weight::Text(two)) if is_by_values => one.cmp(two),
            _ => self.element.cmp(&other.element),
        }
    }
}

impl<'a> Shown<'a> {
    fn parse(word: &'a [u8]) -> Shown<'a> {
        match Pattern::parse(word) {
            _ if word == b"#" => Shown::Itself,
            Some(pattern) => Shown::Value(pattern),
            None => Shown::Nothing,
        }
    }
}

impl<'a> Pattern<'a> {
    /// None if there is no place for an element.
    fn parse(word: &'a [u8]) -> Option<Pattern<'a>> {
        let star = word.iter().position(|&byte| byte == b'*')?;
        let behind = &word[star + 1..];
        let arrow = behind.windows(2).position(|two| two == b"->").filter(|at| at + 2 < behind.len());
        let (behind, field) = match arrow {
            Some(at) => (&behind[..at], Some(&behind[at + 2..])),
            None => (behind, None),
        };
        Some(Pattern { before: &word[..star], behind, field })
    }

    /// The value for an element.
    fn value(&self, element: &[u8], keyspace: &mut Keyspace<'_>) -> Option<Vec<u8>> {
        let name = [self.before, element, self.behind].concat();
        let key = keyspace.store().key(&name);
        let entry = keyspace.read(&key)?;
        match self.field {
            Some(field) => Some(entry.parts().ok()?.hash().ok()?.get(field)?.to_vec()),
            None => Some(entry.string().ok()?.bytes().to_vec()),
        }
    }
}

/// The number that a text spells, as C reads it: an empty text is zero.
fn double(text: &[u8]) -> Option<f64> {
    let text = text.trim_ascii_start();
    if text.is_empty() {
        return Some(0.0);
    }
    parse_double(text)
}
