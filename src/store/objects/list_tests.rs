//! Lists against a vector of strings.

use proptest::prelude::*;

use super::list::ListWriter;
use crate::store::entries::Entry;
use crate::store::object::{Chain, Element, List, ListLimits, PackedKind, Parts, Side};

#[derive(Clone, Debug)]
enum Step {
    Push(Side, Vec<usize>),
    Pop(Side),
    Set(usize, usize),
    Insert(usize, usize),
    RemoveRange(usize, usize),
    RemoveEqual(usize, Side, usize),
    Copy,
}

/// Elements of all kinds, few enough that equal ones meet: numbers, short strings, and one longer than a block.
fn value(number: usize) -> Vec<u8> {
    match number % 8 {
        0 | 1 => number.to_string().into_bytes(),
        2 => (number as i64 * -1_000_003_007).to_string().into_bytes(),
        7 if number.is_multiple_of(5) => vec![b'x'; 5_000 + number],
        _ => vec![b'a' + (number % 26) as u8; number * 3],
    }
}

fn step() -> impl Strategy<Value = Step> {
    let side = prop_oneof![Just(Side::Left), Just(Side::Right)];
    prop_oneof![
        12 => (side.clone(), proptest::collection::vec(0_usize..100, 1..40)).prop_map(|(side, values)| Step::Push(side, values)),
        8 => side.clone().prop_map(Step::Pop),
        4 => (any::<usize>(), 0_usize..100).prop_map(|(at, value)| Step::Set(at, value)),
        8 => (any::<usize>(), 0_usize..100).prop_map(|(at, value)| Step::Insert(at, value)),
        3 => (any::<usize>(), 0_usize..120).prop_map(|(at, count)| Step::RemoveRange(at, count)),
        3 => (0_usize..100, side, 1_usize..20).prop_map(|(value, side, limit)| Step::RemoveEqual(value, side, limit)),
        1 => Just(Step::Copy),
    ]
}

fn limits() -> impl Strategy<Value = ListLimits> {
    prop_oneof![Just(-1), Just(-2), 0_i64..12].prop_map(ListLimits::new)
}

fn strings<'l>(elements: impl Iterator<Item = Element<'l>>) -> Vec<Vec<u8>> {
    elements.map(Element::to_vec).collect()
}

fn assert_same(entry: &Entry, model: &[Vec<u8>]) {
    let list = list_of(entry);
    assert_eq!(list.len(), model.len());
    assert_eq!(strings(list.elements_from(0)), model);
    let mut backwards = strings(list.elements_before(model.len()));
    backwards.reverse();
    assert_eq!(backwards, model);
    for start in (0..=model.len()).step_by(1 + model.len() / 7) {
        assert_eq!(strings(list.elements_from(start)), &model[start..]);
        assert_eq!(strings(list.elements_before(start).take(3)).len(), start.min(3));
        assert_eq!(list.get(start).map(Element::to_vec).as_ref(), model.get(start));
        assert_eq!(list.elements_before(start).next().map(Element::to_vec).as_ref(), model[..start].last());
    }
    if let List::Chain(chain) = list {
        assert_eq!(chain.recounted(), (chain.len(), chain.memory()));
    }
}

fn new_list() -> Entry {
    Entry::new_packed(b"key", PackedKind::List, None)
}

fn list_of(entry: &Entry) -> List<'_> {
    entry.view().parts().and_then(Parts::list).expect("it is a list")
}

fn encoding(entry: &Entry) -> &'static str {
    entry.view().parts().expect("it has parts").encoding()
}

/// Writes to a list, and returns the number of elements that were cut off.
fn write<R>(
    entry: &mut Entry,
    limits: ListLimits,
    write: impl FnOnce(&mut ListWriter<'_>) -> R,
) -> (R, usize) {
    let before = list_of(entry).len();
    let mut cut = Vec::new();
    let (result, has_changed) = ListWriter::run(entry, limits, &mut cut, write);
    assert!(has_changed || list_of(entry).len() == before);
    (result, cut.iter().map(Chain::len).sum())
}

/// Does a step to both, and returns the number of elements that were cut off.
fn play(step: &Step, entry: &mut Entry, model: &mut Vec<Vec<u8>>, limits: ListLimits) -> usize {
    if let Step::Copy = step {
        let copy = entry.view().copied_to(b"key");
        assert_eq!(encoding(&copy), encoding(entry));
        *entry = copy;
        return 0;
    }
    write(entry, limits, |writer| play_to(step, writer, model)).1
}

fn play_to(step: &Step, writer: &mut ListWriter<'_>, model: &mut Vec<Vec<u8>>) {
    let length = model.len();
    match *step {
        Step::Push(side, ref values) => {
            let values: Vec<Vec<u8>> = values.iter().map(|&number| value(number)).collect();
            writer.push_all(side, values.iter().map(Vec::as_slice));
            for value in values {
                model.insert(if side == Side::Left { 0 } else { model.len() }, value);
            }
        }
        Step::Pop(side) => {
            let expected = match side {
                Side::Left => (length > 0).then(|| model.remove(0)),
                Side::Right => model.pop(),
            };
            assert_eq!(writer.pop(side, |element| element.to_vec()), expected);
        }
        Step::Set(at, number) if length > 0 => {
            writer.set(at % length, &value(number));
            model[at % length] = value(number);
        }
        Step::Set(..) => {}
        Step::Insert(at, number) => {
            writer.insert(at % (length + 1), &value(number));
            model.insert(at % (length + 1), value(number));
        }
        Step::RemoveRange(at, count) => {
            let start = at % (length + 1);
            let range = start..(start + count).min(length);
            writer.remove_range(range.clone());
            model.drain(range);
        }
        Step::RemoveEqual(number, side, limit) => {
            let wanted = value(number);
            let mut equal: Vec<usize> = (0..length).filter(|&at| model[at] == wanted).collect();
            if side == Side::Right {
                equal.reverse();
            }
            equal.truncate(limit);
            equal.sort_unstable();
            assert_eq!(writer.remove_equal(&wanted, side, limit), equal.len());
            equal.iter().rev().for_each(|&at| drop(model.remove(at)));
        }
        Step::Copy => unreachable!("a copy is no write"),
    }
}

proptest! {
    #[test]
    fn a_list_is_a_vector_in_either_form(steps in proptest::collection::vec(step(), 1..120), limits in limits()) {
        let (mut list, mut model) = (new_list(), Vec::new());
        for (number, step) in steps.iter().enumerate() {
            let before = model.len();
            let cut = play(step, &mut list, &mut model, limits);
            prop_assert!(cut == 0 || model.len() + cut <= before);
            if number % 8 == 0 {
                assert_same(&list, &model);
            }
        }
        assert_same(&list, &model);
        while !model.is_empty() {
            play(&Step::Pop(Side::Right), &mut list, &mut model, limits);
        }
        prop_assert!(list_of(&list).is_empty());
    }
}

fn filled(limits: ListLimits, values: impl Iterator<Item = Vec<u8>>) -> Entry {
    let mut list = new_list();
    for value in values {
        write(&mut list, limits, |list| list.push(Side::Right, &value));
    }
    list
}

fn form(entry: &Entry) -> (&'static str, usize) {
    (encoding(entry), list_of(entry).len())
}

#[test]
fn a_list_changes_its_form_where_redis_does() {
    let limits = ListLimits::new(-1);
    // 4,096 bytes with the seven of Redis' head: 1,363 elements of three bytes.
    let element = || b"a".to_vec();
    let mut list = filled(limits, (0..1363).map(|_| element()));
    assert_eq!(encoding(&list), "listpack");
    write(&mut list, limits, |list| list.push(Side::Left, b"a"));
    assert_eq!(form(&list), ("quicklist", 1364));
    write(&mut list, limits, |list| list.pop(Side::Left, |_| ()));
    assert_eq!(encoding(&list), "quicklist", "it becomes small at half of the limit");
    write(&mut list, limits, |list| list.remove_range(0..1363 - 680));
    assert_eq!(form(&list), ("listpack", 680));

    let limits = ListLimits::new(4);
    let mut list = filled(limits, (0..4).map(|_| element()));
    assert_eq!(encoding(&list), "listpack");
    write(&mut list, limits, |list| list.insert(2, b"b"));
    assert_eq!(encoding(&list), "quicklist");
    write(&mut list, limits, |list| list.remove_range(2..5));
    assert_eq!(form(&list), ("listpack", 2));
    let long = filled(limits, std::iter::once(vec![0; 9000]));
    assert_eq!(encoding(&long), "quicklist");
    // More than an entry holds, whatever the setting says.
    let limits = ListLimits::new(-5);
    let mut list = filled(limits, (0..1000).map(|_| vec![7; 57]));
    assert_eq!(encoding(&list), "listpack");
    write(&mut list, limits, |list| list.push_all(Side::Left, std::iter::repeat_n(&[7; 57][..], 60)));
    assert_eq!(form(&list), ("quicklist", 1060));
}

#[test]
fn a_list_takes_little_more_than_its_elements() {
    let limits = ListLimits::new(-2);
    let numbered = |number: usize| format!("element:{number:05}").into_bytes();
    // Thirteen bytes and two around them.
    let small = filled(limits, (0..100).map(numbered));
    assert!((1_500..1_700).contains(&small.view().memory()), "{}", small.view().memory());
    let mut large = filled(limits, (0..100_000).map(numbered));
    let full = large.view().memory();
    assert!((1_500_000..1_620_000).contains(&full), "{full}");
    for number in (0..100_000).filter(|number| number % 50 != 0).take(2_000) {
        write(&mut large, limits, |list| list.remove_equal(&numbered(number), Side::Left, 1));
    }
    assert!(large.view().memory() < full - 20_000, "{}", large.view().memory());
}

#[test]
fn a_long_range_is_cut_off_whole() {
    let limits = ListLimits::new(-2);
    let mut list = filled(limits, (0..100_000).map(|number: usize| number.to_string().into_bytes()));
    let ((), cut) = write(&mut list, limits, |list| {
        list.remove_range(99_990..100_000);
        list.remove_range(5..99_985);
    });
    assert!(cut > 95_000);
    let left = strings(list_of(&list).elements_from(0));
    let expected = [0, 1, 2, 3, 4, 99_985, 99_986, 99_987, 99_988, 99_989];
    assert_eq!(left, expected.map(|number: usize| number.to_string().into_bytes()));
}

#[test]
fn a_long_list_takes_little_more_than_its_elements_wherever_it_grows() {
    const ELEMENTS: usize = 100_000;
    for side in [Side::Left, Side::Right] {
        let mut list = new_list();
        for number in 0..ELEMENTS {
            let element = format!("elm:{number:012}");
            ListWriter::run(&mut list, ListLimits::new(-2), &mut Vec::new(), |list| {
                list.push(side, element.as_bytes());
                ((), true)
            });
        }
        // An element has a head and a length behind it; a block fills one of the allocator's but for a few elements.
        let each = list.view().memory() as f64 / ELEMENTS as f64;
        assert!(each < 18.3, "{each}");
    }
}
