//! Elements in the middle of a list: finding, changing and removing them.

use quartet_protocol::resp::number::parse_integer;

use super::lists::{LIST, change_list, integer, not_negative, place, places, read_list};
use crate::command::{Call, Command, Flags, Handler, KeyAccess, Keys};
use crate::refusal::Refusal;
use crate::store::{Element, List, Side};

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "lset",
        syntax: "key index element",
        summary: "Sets the value of an element in a list by its index.",
        complexity: "O(N) where N is the length of the list. Setting either the first or the last element of the list \
                     is O(1).",
        flags: Flags::WRITE.union(Flags::DENYOOM),
        keys: Keys::first(KeyAccess::ReadWriteUpdate),
        handler: Handler::Data(lset),
        ..LIST
    },
    Command {
        name: "linsert",
        syntax: "key <BEFORE | AFTER> pivot element",
        summary: "Inserts an element before or after another element in a list.",
        complexity: "O(N) where N is the number of elements to traverse before seeing the value pivot. This means \
                     that inserting somewhere on the left end on the list (head) can be considered O(1) and inserting \
                     somewhere on the right end (tail) is O(N).",
        since: "2.2.0",
        flags: Flags::WRITE.union(Flags::DENYOOM),
        keys: Keys::first(KeyAccess::ReadWriteInsert),
        handler: Handler::Data(linsert),
        ..LIST
    },
    Command {
        name: "lrem",
        syntax: "key count element",
        summary: "Removes elements from a list. Deletes the list if the last element was removed.",
        complexity: "O(N+M) where N is the length of the list and M is the number of elements removed.",
        flags: Flags::WRITE,
        keys: Keys::first(KeyAccess::ReadWriteDelete),
        handler: Handler::Data(lrem),
        ..LIST
    },
    Command {
        name: "ltrim",
        syntax: "key start stop",
        summary: "Removes elements from both ends a list. Deletes the list if all elements were trimmed.",
        complexity: "O(N) where N is the number of elements to be removed by the operation.",
        flags: Flags::WRITE,
        keys: Keys::first(KeyAccess::ReadWriteDelete),
        handler: Handler::Data(ltrim),
        ..LIST
    },
    Command {
        name: "lpos",
        syntax: "key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
        summary: "Returns the index of matching elements in a list.",
        complexity: "O(N) where N is the number of elements in the list, for the average case. When searching for \
                     elements near the head or the tail of the list, or when the MAXLEN option is provided, the \
                     command may run in constant time.",
        since: "6.0.6",
        flags: Flags::READONLY,
        keys: Keys::first(KeyAccess::ReadAccess),
        handler: Handler::Data(lpos),
        ..LIST
    },
];

fn lset(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (index, value) = (call.arguments.at(2), call.arguments.at(3));
    call.require_value_size(value.len())?;
    let key = call.key(1);
    let set = change_list(call, &key, |list, output| {
        let index = parse_integer(index).ok_or(Refusal::NOT_AN_INTEGER)?;
        let place = place(index, list.list().len());
        list.set(place.ok_or_else(|| Refusal::new("ERR index out of range"))?, value);
        output.ok();
        Ok(())
    })?;
    set.unwrap_or(Err(Refusal::NO_SUCH_KEY))
}

fn linsert(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let [word, pivot, value] = [2, 3, 4].map(|position| call.arguments.at(position));
    let is_after = word.eq_ignore_ascii_case(b"after");
    if !is_after && !word.eq_ignore_ascii_case(b"before") {
        return Err(Refusal::SYNTAX);
    }
    call.require_value_size(value.len())?;
    let (key, pivot) = (call.key(1), Element::new(pivot));
    let length = change_list(call, &key, |list, _| {
        // Also if it comes to nothing, as in Redis.
        list.grow_for(value);
        let found = list.list().elements_from(0).position(|element| element == pivot);
        found.map_or(-1, |place| {
            list.insert(place + usize::from(is_after), value);
            list.list().len() as i64
        })
    })?;
    call.output.integer(length.unwrap_or(0));
    Ok(())
}

fn lrem(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (count, value) = (integer(call, 2)?, call.arguments.at(3));
    let side = if count < 0 { Side::Right } else { Side::Left };
    let limit =
        if count == 0 { usize::MAX } else { usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX) };
    let key = call.key(1);
    let removed = change_list(call, &key, |list, _| list.remove_equal(value, side, limit))?;
    call.output.integer(removed.unwrap_or(0) as i64);
    Ok(())
}

fn ltrim(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (start, stop) = (integer(call, 2)?, integer(call, 3)?);
    let key = call.key(1);
    change_list(call, &key, |list, _| {
        let length = list.list().len();
        let kept = places(start, stop, length);
        list.remove_range(kept.end..length);
        list.remove_range(0..kept.start);
    })?;
    call.output.ok();
    Ok(())
}

/// The options of LPOS.
struct Search {
    /// How many matches are passed over.
    skipped: usize,
    /// The end that the search begins at.
    from: Side,
    /// How many matches are wanted; none if the reply is one number.
    count: Option<usize>,
    /// How many elements are compared.
    compared: usize,
}

fn lpos(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let search = search_options(call)?;
    let wanted = Element::new(call.arguments.at(2));
    read_list(call, |list, output| {
        let found = list.map_or_else(Vec::new, |list| search.find(list, wanted));
        match (search.count, found.first()) {
            (Some(_), _) => {
                output.array(found.len());
                found.iter().for_each(|&place| output.integer(place as i64));
            }
            (None, Some(&place)) => output.integer(place as i64),
            (None, None) => output.null(),
        }
        Ok(())
    })
}

fn search_options(call: &Call<'_, '_>) -> Result<Search, Refusal> {
    let mut search = Search { skipped: 0, from: Side::Left, count: None, compared: usize::MAX };
    let all_if_zero = |number: usize| if number == 0 { usize::MAX } else { number };
    let mut words = call.arguments.from(3).iter();
    while let Some(word) = words.next() {
        let value = words.next().ok_or(Refusal::SYNTAX)?;
        if word.eq_ignore_ascii_case(b"rank") {
            let rank = rank_of(value)?;
            if rank == 0 {
                return Err(Refusal::new(
                    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use \
                     negative to start from the end of the list",
                ));
            }
            search.from = if rank < 0 { Side::Right } else { Side::Left };
            search.skipped = usize::try_from(rank.unsigned_abs() - 1).unwrap_or(usize::MAX);
        } else if word.eq_ignore_ascii_case(b"count") {
            let count = not_negative(value).ok_or_else(|| Refusal::new("ERR COUNT can't be negative"))?;
            search.count = Some(all_if_zero(count));
        } else if word.eq_ignore_ascii_case(b"maxlen") {
            let length = not_negative(value).ok_or_else(|| Refusal::new("ERR MAXLEN can't be negative"))?;
            search.compared = all_if_zero(length);
        } else {
            return Err(Refusal::SYNTAX);
        }
    }
    Ok(search)
}

impl Search {
    /// The places of the matches that are wanted, in the order in which they are met.
    fn find(&self, list: List<'_>, wanted: Element<'_>) -> Vec<usize> {
        let length = list.len();
        let count = self.count.unwrap_or(1);
        let matches = |element: &(usize, Element<'_>)| element.1 == wanted;
        match self.from {
            Side::Left => {
                let compared = list.elements_from(0).take(self.compared).enumerate();
                compared.filter(matches).skip(self.skipped).take(count).map(|(place, _)| place).collect()
            }
            Side::Right => {
                let compared = list.elements_before(length).take(self.compared).enumerate();
                let found = compared.filter(matches).skip(self.skipped).take(count);
                found.map(|(step, _)| length - 1 - step).collect()
            }
        }
    }
}

/// The number of a match, from the end if it is negative.
fn rank_of(text: &[u8]) -> Result<i64, Refusal> {
    let rank = parse_integer(text).ok_or(Refusal::NOT_AN_INTEGER)?;
    if rank == i64::MIN {
        let most = i64::MAX;
        return Err(Refusal::new(format!(
            "ERR value is out of range, value must between -{most} and {most}"
        )));
    }
    Ok(rank)
}
