//! Reading payloads, part by part.

use std::borrow::Cow;

use super::input::Input;
use super::nested::{Intset, Item, Listpack, Ziplist, Zipmap};
use super::types::{self, ExpiryHead, Form, Kind};
use super::{Fault, footer, score};
use crate::resp::number::parse_integer;

/// The numbers before a string of a list: it is an element, or a listpack of some.
const ELEMENT: u64 = 1;
const LISTPACK: u64 = 2;

/// In Valkey's form: the field never expires.
const NEVER: i64 = -1;

/// A payload whose footer is right and whose type is known.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    kind: Kind,
    form: Form,
    value: &'a [u8],
}

/// A part of a value.
#[derive(Clone, PartialEq, Debug)]
pub enum Part<'p> {
    /// The whole of a string.
    String(Cow<'p, [u8]>),
    /// The next element of a list.
    Element(&'p [u8]),
    /// A member of a set.
    Member(&'p [u8]),
    /// A member of a sorted set.
    Scored {
        /// The member.
        member: &'p [u8],
        /// Its score, which is a number.
        score: f64,
    },
    /// A field of a hash.
    Field {
        /// Its name.
        field: &'p [u8],
        /// Its value.
        value: &'p [u8],
        /// The milliseconds since 1970 at which the field expires, if it does.
        expires: Option<u64>,
    },
}

/// Takes the parts in.
type Visit<'v, E> = &'v mut dyn FnMut(Part<'_>) -> Result<(), E>;

impl<'a> Payload<'a> {
    /// Looks at the footer and the type of a payload, and not at its value.
    ///
    /// # Errors
    /// If either is not what it must be.
    pub fn open(payload: &'a [u8]) -> Result<Payload<'a>, Fault> {
        let (value, version) = footer::open(payload)?;
        let (&code, value) = value.split_first().ok_or(Fault::Format)?;
        let (kind, form) = types::of_code(code, version)?;
        Ok(Payload { kind, form, value })
    }

    /// The type of the value.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Calls `visit` with the parts of the value, of which there is at least one, until it refuses one.  A member or a
    /// field may come twice.  No string has more than `length_max` bytes.
    ///
    /// # Errors
    /// If the value is not what it must be, which may show only after parts of it were visited, or what `visit` returns.
    pub fn read<E: From<Fault>>(
        &self,
        length_max: usize,
        mut visit: impl FnMut(Part<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut input = Input::new(self.value, length_max);
        let mut is_empty = true;
        self.read_parts(&mut input, &mut |part| {
            is_empty = false;
            visit(part)
        })?;
        if is_empty || !input.is_empty() { Err(Fault::Format.into()) } else { Ok(()) }
    }

    fn read_parts<E: From<Fault>>(&self, input: &mut Input<'_>, visit: Visit<'_, E>) -> Result<(), E> {
        match self.form {
            Form::String => visit(Part::String(input.string()?)),
            Form::Strings => read_strings(self.kind, input, visit),
            Form::TextScores => read_scored(input, score::old, visit),
            Form::BinaryScores => read_scored(input, score::binary, visit),
            Form::Zipmap => read_items(self.kind, Zipmap::new(&input.string()?)?, visit),
            Form::Ziplist => read_items(self.kind, Ziplist::new(&input.string()?)?, visit),
            Form::Listpack => read_items(self.kind, Listpack::new(&input.string()?)?, visit),
            Form::Intset => read_items(self.kind, Intset::new(&input.string()?)?, visit),
            Form::Ziplists => read_ziplists(self.kind, input, visit),
            Form::Listpacks => read_listpacks(self.kind, input, visit),
            Form::Expiring(head) => read_expiring(head, input, visit),
            Form::ExpiringListpack(head) => read_expiring_listpack(head, input, visit),
            Form::ValkeyExpiring => read_valkey_expiring(input, visit),
        }
    }
}

fn read_strings<E: From<Fault>>(kind: Kind, input: &mut Input<'_>, visit: Visit<'_, E>) -> Result<(), E> {
    for _ in 0..input.count()? {
        let first = input.string()?;
        match kind {
            Kind::Hash => {
                let value = input.string()?;
                visit(Part::Field { field: &first, value: &value, expires: None })?;
            }
            Kind::Set => visit(Part::Member(&first))?,
            _ => visit(Part::Element(&first))?,
        }
    }
    Ok(())
}

fn read_scored<E: From<Fault>>(
    input: &mut Input<'_>,
    score: impl Fn(&mut Input<'_>) -> Result<f64, Fault>,
    visit: Visit<'_, E>,
) -> Result<(), E> {
    for _ in 0..input.count()? {
        let member = input.string()?;
        visit(Part::Scored { member: &member, score: score(input)? })?;
    }
    Ok(())
}

/// The parts that are encoded one after the other.
fn read_items<'b, E: From<Fault>>(
    kind: Kind,
    mut items: impl Iterator<Item = Result<Item<'b>, Fault>>,
    visit: Visit<'_, E>,
) -> Result<(), E> {
    while let Some(item) = items.next() {
        let item = item?.text();
        match kind {
            Kind::Hash => {
                let value = next_text(&mut items)?;
                visit(Part::Field { field: &item, value: &value, expires: None })?;
            }
            Kind::SortedSet => {
                let score = score::text(&next_text(&mut items)?)?;
                visit(Part::Scored { member: &item, score })?;
            }
            Kind::Set => visit(Part::Member(&item))?,
            Kind::List | Kind::String => visit(Part::Element(&item))?,
        }
    }
    Ok(())
}

/// What belongs to the item before.
fn next_text<'b>(items: &mut impl Iterator<Item = Result<Item<'b>, Fault>>) -> Result<Cow<'b, [u8]>, Fault> {
    items.next().ok_or(Fault::Format)?.map(Item::text)
}

fn read_ziplists<E: From<Fault>>(kind: Kind, input: &mut Input<'_>, visit: Visit<'_, E>) -> Result<(), E> {
    for _ in 0..input.count()? {
        read_items(kind, Ziplist::new(&input.string()?)?, visit)?;
    }
    Ok(())
}

fn read_listpacks<E: From<Fault>>(kind: Kind, input: &mut Input<'_>, visit: Visit<'_, E>) -> Result<(), E> {
    for _ in 0..input.count()? {
        match input.length()? {
            ELEMENT => visit(Part::Element(&input.string()?))?,
            LISTPACK => read_items(kind, Listpack::new(&input.string()?)?, visit)?,
            _ => return Err(Fault::Format.into()),
        }
    }
    Ok(())
}

/// Fields with the time at which each expires, counted from one before the earliest, or zero.
fn read_expiring<E: From<Fault>>(
    head: ExpiryHead,
    input: &mut Input<'_>,
    visit: Visit<'_, E>,
) -> Result<(), E> {
    let earliest = earliest(head, input)?;
    for _ in 0..input.count()? {
        let expires = match (input.length()?, head) {
            (0, _) => None,
            (later, ExpiryHead::Earliest) => Some(earliest.checked_add(later - 1).ok_or(Fault::Format)?),
            (expires, ExpiryHead::Nothing) => Some(expires),
        };
        let (field, value) = (input.string()?, input.string()?);
        visit(Part::Field { field: &field, value: &value, expires })?;
    }
    Ok(())
}

fn read_expiring_listpack<E: From<Fault>>(
    head: ExpiryHead,
    input: &mut Input<'_>,
    visit: Visit<'_, E>,
) -> Result<(), E> {
    earliest(head, input)?;
    let listpack = input.string()?;
    let mut items = Listpack::new(&listpack)?;
    while let Some(field) = items.next() {
        let (field, value) = (field?.text(), next_text(&mut items)?);
        let expires = parse_integer(&next_text(&mut items)?).and_then(|expires| u64::try_from(expires).ok());
        let expires = expires.ok_or(Fault::Format)?;
        visit(Part::Field { field: &field, value: &value, expires: (expires != 0).then_some(expires) })?;
    }
    Ok(())
}

fn read_valkey_expiring<E: From<Fault>>(input: &mut Input<'_>, visit: Visit<'_, E>) -> Result<(), E> {
    for _ in 0..input.count()? {
        let (field, value) = (input.string()?, input.string()?);
        let expires = match i64::from_le_bytes(input.array()?) {
            NEVER => None,
            expires => Some(u64::try_from(expires).map_err(|_| Fault::Format)?),
        };
        visit(Part::Field { field: &field, value: &value, expires })?;
    }
    Ok(())
}

fn earliest(head: ExpiryHead, input: &mut Input<'_>) -> Result<u64, Fault> {
    match head {
        ExpiryHead::Earliest => Ok(u64::from_le_bytes(input.array()?)),
        ExpiryHead::Nothing => Ok(0),
    }
}
