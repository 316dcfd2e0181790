//! Lua's stack, read and written in place: the only unsafe code of the scripts.
//!
//! `mlua` gives each value that Rust touches a handle, which has a place of its own and is made within a protected call.  That was
//! half of the time of a short script.  What every run and every call of a command does goes past the handles.
//!
//! An error of Lua jumps over frames of Rust and drops nothing in them.  So the functions that Lua calls have two halves: the first
//! may own things and raises nothing, the second may raise errors and owns nothing ([`entry`]).  Outside of a script there is
//! no limit of memory, and without one nothing here raises an error.
//!
//! Every access is checked: there is room for what is pushed, a table is where one is used, and nothing is taken that was not put.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use mlua::ffi;
use mlua::{Function, IntoLua, Lua, Value};

use super::calls::{Calls, Next, Purpose};
use super::reply;
use crate::script::number_text::{fixed_text, plain_number};

/// Digits of a number as Lua writes it.
const TEXT_DIGITS: usize = 14;

/// Places of the stack that Lua keeps free for a function that it calls.
const ROOM: c_int = ffi::LUA_MINSTACK;

/// A value on the stack.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Slot<'s> {
    /// No value, or nil.
    Nil,
    /// A truth value.
    Boolean(bool),
    /// A number.
    Number(f64),
    /// A string.
    Text(&'s [u8]),
    /// A table.
    Table,
    /// Anything else.
    Other,
}

/// Lua's stack, from the values that were there on.  Places count from 1.
pub(super) struct Stack<'l> {
    state: NonNull<ffi::lua_State>,
    /// How many values are there.
    count: c_int,
    /// How many there were at first.
    floor: c_int,
    /// How many there is room for.
    room: c_int,
    lua: PhantomData<&'l ()>,
}

/// A value that Lua keeps until it is released.
#[derive(Debug)]
pub(super) struct Reference(c_int);

impl Reference {
    /// Has Lua keep a value.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(super) fn new(lua: &Lua, value: impl IntoLua) -> mlua::Result<Reference> {
        // SAFETY: `mlua` calls this within a protected call, with the value as the only one on the stack and room for more.
        let number: c_int = unsafe {
            lua.exec_raw(value.into_lua(lua)?, |state| {
                let number = ffi::luaL_ref(state, ffi::LUA_REGISTRYINDEX);
                ffi::lua_pushnumber(state, f64::from(number));
            })
        }?;
        Ok(Reference(number))
    }

    /// Lets Lua forget the value.
    pub(super) fn release(self, lua: &Lua) {
        // SAFETY: the number is one that Lua has given, and nobody has it any more.
        let released: mlua::Result<()> =
            unsafe { lua.exec_raw((), |state| ffi::luaL_unref(state, ffi::LUA_REGISTRYINDEX, self.0)) };
        debug_assert!(released.is_ok(), "it writes to places that are there");
    }
}

impl<'l> Stack<'l> {
    /// The stack of a state in which no function runs, with room for so many values.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn of(lua: &'l Lua, room: c_int) -> mlua::Result<Stack<'l>> {
        let state = lua.exec_raw_lua(|raw| raw.state());
        let state = NonNull::new(state).ok_or(mlua::Error::StackError)?;
        // SAFETY: the state lives as long as `lua`.
        let count = unsafe { ffi::lua_gettop(state.as_ptr()) };
        let mut stack = Stack { state, count, floor: count, room: count, lua: PhantomData };
        if stack.make_room(room) { Ok(stack) } else { Err(mlua::Error::StackError) }
    }

    /// The same with the last value that was left there.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn with_last(lua: &'l Lua) -> mlua::Result<Stack<'l>> {
        let mut stack = Stack::of(lua, 0)?;
        stack.floor = stack.count.checked_sub(1).ok_or(mlua::Error::StackError)?;
        Ok(stack)
    }

    fn raw(&self) -> *mut ffi::lua_State {
        self.state.as_ptr()
    }

    /// How many values there are.
    pub(super) fn count(&self) -> c_int {
        self.count
    }

    /// Makes room for so many values; false if there is none.  May raise an error.
    pub(super) fn make_room(&mut self, count: c_int) -> bool {
        // SAFETY: the state is valid as long as this is.
        let is_there = unsafe { ffi::lua_checkstack(self.raw(), count) } != 0;
        if is_there {
            self.room = self.room.max(self.count + count);
        }
        is_there
    }

    /// The value at a place.
    #[inline]
    pub(super) fn at(&self, place: c_int) -> Slot<'_> {
        if place < 1 || place > self.count {
            return Slot::Nil;
        }
        let state = self.raw();
        // SAFETY: there is a value at the place, and each function is called for the type that it is made for, so that none
        // converts anything.  Lua's strings do not move, and this one is not collected while it is on the stack, where
        // it is as long as nobody has the stack to change it.
        unsafe {
            match ffi::lua_type(state, place) {
                ffi::LUA_TNIL => Slot::Nil,
                ffi::LUA_TBOOLEAN => Slot::Boolean(ffi::lua_toboolean(state, place) != 0),
                ffi::LUA_TNUMBER => Slot::Number(ffi::lua_tonumber(state, place)),
                ffi::LUA_TSTRING => {
                    let mut length = 0;
                    let text = ffi::lua_tolstring(state, place, &mut length);
                    Slot::Text(std::slice::from_raw_parts(text.cast(), length))
                }
                ffi::LUA_TTABLE => Slot::Table,
                _ => Slot::Other,
            }
        }
    }

    /// Counts a value that is about to be pushed.
    #[inline]
    fn add(&mut self) -> *mut ffi::lua_State {
        assert!(self.count < self.room, "there is room on Lua's stack");
        self.count += 1;
        self.raw()
    }

    /// Requires a table at a place.
    #[inline]
    fn table(&self, place: c_int) -> *mut ffi::lua_State {
        // SAFETY: of a place beyond the values, Lua says that there is none.
        let is_table = place > 0 && unsafe { ffi::lua_type(self.raw(), place) } == ffi::LUA_TTABLE;
        assert!(is_table, "there is a table on Lua's stack");
        self.raw()
    }

    /// Pushes nil.
    pub(super) fn push_nil(&mut self) {
        let state = self.add();
        // SAFETY: there is room.
        unsafe { ffi::lua_pushnil(state) }
    }

    /// Pushes a truth value.
    pub(super) fn push_truth(&mut self, truth: bool) {
        let state = self.add();
        // SAFETY: there is room.
        unsafe { ffi::lua_pushboolean(state, c_int::from(truth)) }
    }

    /// Pushes a number.
    pub(super) fn push_number(&mut self, number: f64) {
        let state = self.add();
        // SAFETY: there is room.
        unsafe { ffi::lua_pushnumber(state, number) }
    }

    /// Pushes a string.  May raise an error.
    #[inline]
    pub(super) fn push_text(&mut self, text: &[u8]) {
        let state = self.add();
        // SAFETY: there is room, and Lua copies the text.
        unsafe { ffi::lua_pushlstring_(state, text.as_ptr().cast(), text.len()) }
    }

    /// Pushes a table with room for so many elements and fields.  May raise an error.
    pub(super) fn push_table(&mut self, elements: usize, fields: c_int) {
        let state = self.add();
        let elements = c_int::try_from(elements).unwrap_or(c_int::MAX);
        // SAFETY: there is room.
        unsafe { ffi::lua_createtable(state, elements, fields) }
    }

    /// Pushes a value that Lua keeps.
    pub(super) fn push_reference(&mut self, reference: &Reference) {
        let state = self.add();
        // SAFETY: there is room, and the registry is a table.
        unsafe { ffi::lua_rawgeti_(state, ffi::LUA_REGISTRYINDEX, reference.0) }
    }

    /// Pushes what a handle stands for.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(super) fn push_handle(&mut self, lua: &Lua, value: &Value) -> mlua::Result<()> {
        assert!(self.room - self.count > 1, "there is room on Lua's stack");
        lua.exec_raw_lua(|raw| {
            assert!(raw.state() == self.raw(), "the handle is of this state");
            // SAFETY: `mlua` works on this stack, and has room for two values.
            unsafe { raw.push_value(value) }
        })?;
        self.count += 1;
        Ok(())
    }

    /// Takes the value at the top as a handle.
    pub(super) fn take_handle(&mut self, lua: &Lua) -> Value {
        assert!(self.count > self.floor, "there is a value on Lua's stack");
        self.count -= 1;
        lua.exec_raw_lua(|raw| {
            assert!(raw.state() == self.raw(), "the value is of this state");
            // SAFETY: `mlua` works on this stack, and there is a value to take.
            unsafe { raw.pop_value() }
        })
    }

    /// Pushes the value at a place once more.
    pub(super) fn push_copy(&mut self, place: c_int) {
        assert!(place > 0 && place <= self.count, "there is a value on Lua's stack");
        let state = self.add();
        // SAFETY: there is room, and a value at the place.
        unsafe { ffi::lua_pushvalue(state, place) }
    }

    /// Takes away so many values.
    #[inline]
    pub(super) fn pop(&mut self, count: c_int) {
        assert!(count >= 0 && count <= self.count - self.floor, "there are values on Lua's stack");
        self.count -= count;
        // SAFETY: there are as many.
        unsafe { ffi::lua_settop(self.raw(), self.count) }
    }

    /// Moves the value at the top to the place of another one, which was pushed before it.
    pub(super) fn replace(&mut self, place: c_int) {
        assert!(place > self.floor && place < self.count, "there are two values on Lua's stack");
        self.count -= 1;
        // SAFETY: there are a value and another place.
        unsafe { ffi::lua_replace(self.raw(), place) }
    }

    /// Puts the value at the top into the table below it as an element.  May raise an error.
    #[inline]
    pub(super) fn set_element(&mut self, index: c_int) {
        let state = self.table(self.count - 1);
        // SAFETY: there are a value and a table, and an index is neither nil nor no number.
        unsafe { ffi::lua_rawseti_(state, -2, index) }
        self.count -= 1;
    }

    /// Puts the value at the top into the table at a place, under the key below the value; false, and nothing is done, if it
    /// can be no key.  May raise an error.
    pub(super) fn set_pair(&mut self, place: c_int) -> bool {
        let key = self.count - 1;
        // SAFETY: of a place beyond the values, Lua says that there is none.
        let kind = if key > 0 { unsafe { ffi::lua_type(self.raw(), key) } } else { ffi::LUA_TNONE };
        let is_key = match kind {
            ffi::LUA_TNIL | ffi::LUA_TNONE => false,
            ffi::LUA_TNUMBER => !matches!(self.at(key), Slot::Number(number) if number.is_nan()),
            _ => true,
        };
        if is_key && place < key {
            let state = self.table(place);
            // SAFETY: there are a key, a value and a table.
            unsafe { ffi::lua_rawset(state, place) }
            self.count -= 2;
        }
        is_key
    }

    /// Pushes an element of the table at a place.
    pub(super) fn push_element(&mut self, place: c_int, index: c_int) {
        self.table(place);
        let state = self.add();
        // SAFETY: there are a table and room.
        unsafe { ffi::lua_rawgeti_(state, place, index) }
    }

    /// Replaces the key at the top by what the table at a place has under it.
    pub(super) fn look_up(&mut self, place: c_int) {
        assert!(place < self.count, "the key is above the table on Lua's stack");
        let state = self.table(place);
        // SAFETY: there are a table and a key.
        unsafe { ffi::lua_rawget_(state, place) }
    }

    /// Replaces the key at the top by the next key of the table at a place and its value; takes it away if it was the last one, and
    /// says whether there was another.  The key must be nil or one that this has pushed, and the table unchanged.
    pub(super) fn step(&mut self, place: c_int) -> bool {
        assert!(place < self.count && self.count < self.room, "the key is above the table on Lua's stack");
        let state = self.table(place);
        // SAFETY: there are a table, a key and room.
        let is_there = unsafe { ffi::lua_next(state, place) } != 0;
        self.count += if is_there { 1 } else { -1 };
        is_there
    }

    /// Calls the function below so many arguments, with the handler of errors at a place: true if one value is in their place, false if it
    /// is an error.
    pub(super) fn call(&mut self, arguments: c_int, handler: c_int) -> bool {
        assert!(
            self.count - self.floor > arguments && handler <= self.count,
            "there is a function on Lua's stack"
        );
        // SAFETY: there are a function and its arguments, and the call is protected.
        let status = unsafe { ffi::lua_pcall(self.raw(), arguments, 1, handler) };
        self.count -= arguments;
        status == ffi::LUA_OK
    }
}

/// Something that is lent to functions which live longer.
pub(super) struct Lent<T: ?Sized>(Cell<Option<NonNull<T>>>);

impl<T: ?Sized> Default for Lent<T> {
    fn default() -> Lent<T> {
        Lent(Cell::new(None))
    }
}

/// Ends a loan, or puts back what was taken for a while.
struct SetBack<'c, T: ?Sized>(&'c Cell<Option<NonNull<T>>>, Option<NonNull<T>>);

impl<T: ?Sized> Drop for SetBack<'_, T> {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

impl<T: ?Sized> Lent<T> {
    /// Works with what is lent, unless nothing is, or somebody works with it already.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut lent = self.0.take()?;
        let _back = SetBack(&self.0, Some(lent));
        // SAFETY: what is lent lives until the loan ends, and until then nobody else has it: not the lender, who has lent it mutably, nor
        // anybody here, since it was taken out of the cell.
        Some(work(unsafe { lent.as_mut() }))
    }
}

impl Lent<dyn super::Commands> {
    /// Lends the commands of a run while `work` is done.
    pub(super) fn lend<'a, R>(
        &self,
        commands: &'a mut (dyn super::Commands + 'a),
        work: impl FnOnce() -> R,
    ) -> R {
        let commands: NonNull<dyn super::Commands + 'a> = NonNull::from(commands);
        // SAFETY: only the lifetime changes, and the pointer is taken back before that ends.
        let commands: NonNull<dyn super::Commands + 'static> = unsafe { std::mem::transmute(commands) };
        let _back = SetBack(&self.0, self.0.replace(Some(commands)));
        work()
    }
}

/// Makes a lasting function of Lua that does this with a command; `calls` must live as long as the state.
pub(super) fn function(lua: &Lua, calls: &Calls, purpose: Purpose) -> mlua::Result<Function> {
    let function = match purpose {
        Purpose::Call => call,
        Purpose::ProtectedCall => protected_call,
        Purpose::Check => check,
    };
    let calls = std::ptr::from_ref(calls).cast_mut().cast::<c_void>();
    // SAFETY: `mlua` calls this within a protected call, with room for some values.
    unsafe {
        lua.exec_raw((), |state| {
            ffi::lua_pushlightuserdata(state, calls);
            ffi::lua_pushcclosure(state, function, 1);
        })
    }
}

/// A function of Lua's own that has a quick way in front of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Quick {
    /// `tonumber` of a text with nothing but digits and a point: C's way reads it twice.
    ToNumber,
    /// `tostring` of a number that is written without an exponent.
    ToText,
}

/// Puts the quick way in front of Lua's own function, which must have no upvalues.
pub(super) fn quickened(lua: &Lua, own: Function, quick: Quick) -> mlua::Result<Function> {
    let function = match quick {
        Quick::ToNumber => to_number,
        Quick::ToText => to_text,
    };
    // SAFETY: `mlua` calls this within a protected call, with the function as the only value on the stack.
    unsafe { lua.exec_raw(own, |state| ffi::lua_pushcclosure(state, function, 1)) }
}

/// What Lua calls for `tonumber`.
///
/// # Safety
/// Only Lua calls it, as the function that was made above.
unsafe extern "C-unwind" fn to_number(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as in `Stack::at`.  Nothing here has to be dropped, and Lua keeps room for what is pushed.
    unsafe {
        if ffi::lua_gettop(state) == 1 && ffi::lua_type(state, 1) == ffi::LUA_TSTRING {
            let mut length = 0;
            let text = ffi::lua_tolstring(state, 1, &mut length);
            if let Some(number) = plain_number(std::slice::from_raw_parts(text.cast(), length)) {
                ffi::lua_pushnumber(state, number);
                return 1;
            }
        }
        own(state)
    }
}

/// What Lua calls for `tostring`.
///
/// # Safety
/// As above.
unsafe extern "C-unwind" fn to_text(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        if ffi::lua_type(state, 1) == ffi::LUA_TNUMBER
            && let Some(text) = fixed_text(ffi::lua_tonumber(state, 1), TEXT_DIGITS)
        {
            ffi::lua_pushlstring_(state, text.bytes().as_ptr().cast(), text.bytes().len());
            return 1;
        }
        own(state)
    }
}

/// Runs Lua's own function in the place of the quick one, so that messages name that.
///
/// # Safety
/// As above.
unsafe fn own(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: it is a function that takes its arguments from this stack and knows no upvalues.
    unsafe { ffi::lua_tocfunction(state, ffi::lua_upvalueindex(1)).map_or(0, |own| own(state)) }
}

/// What Lua calls for `redis.call`.
///
/// # Safety
/// Only Lua calls it, as the function that was made above.
unsafe extern "C-unwind" fn call(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as promised.
    unsafe { entry(state, Purpose::Call) }
}

/// What Lua calls for `redis.pcall`.
///
/// # Safety
/// As above.
unsafe extern "C-unwind" fn protected_call(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as promised.
    unsafe { entry(state, Purpose::ProtectedCall) }
}

/// What Lua calls for `redis.acl_check_cmd`.
///
/// # Safety
/// As above.
unsafe extern "C-unwind" fn check(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as promised.
    unsafe { entry(state, Purpose::Check) }
}

/// What the functions above do.
///
/// # Safety
/// As above.
unsafe fn entry(state: *mut ffi::lua_State, purpose: Purpose) -> c_int {
    // SAFETY: Lua gives a state, and what the function was made with is of this type and lives as long as the state.
    let (calls, state, count) = unsafe {
        let calls: *const Calls = ffi::lua_touserdata(state, ffi::lua_upvalueindex(1)).cast();
        (&*calls, NonNull::new_unchecked(state), ffi::lua_gettop(state))
    };
    let mut stack = Stack { state, count, floor: count, room: count + ROOM, lua: PhantomData };
    // The half that may own things.
    let next = run(calls, &stack, purpose);
    // The half that Lua may jump out of: nothing here has to be dropped.
    let pushed = match next {
        Next::Reply(reply) => {
            // SAFETY: the reply is where the first half has left it, and is not touched before the next call.
            let pushed = reply::push(&mut stack, unsafe { reply.as_ref() });
            pushed.map_err(|complaint| calls.complain(complaint))
        }
        Next::Complaint(text) => {
            reply::push_error(&mut stack, text.as_bytes(), false);
            Ok(())
        }
        Next::Truth(truth) => {
            stack.push_truth(truth);
            Ok(())
        }
        Next::Raise => Err(()),
    };
    if pushed.is_err() {
        // SAFETY: Lua keeps room for more values than these, and nothing that the error jumps over has to be dropped.
        unsafe {
            ffi::lua_settop(state.as_ptr(), 0);
            ffi::lua_rawgeti_(state.as_ptr(), ffi::LUA_REGISTRYINDEX, calls.make_error().0);
            ffi::lua_call(state.as_ptr(), 0, 1);
            // It is raised here, so that messages name the place that has called this function.
            ffi::lua_error(state.as_ptr());
        }
    }
    1
}

/// Runs a command; a panic waits until Lua has been left.
fn run(calls: &Calls, stack: &Stack<'_>, purpose: Purpose) -> Next {
    match catch_unwind(AssertUnwindSafe(|| calls.run(stack, purpose))) {
        Ok(next) => next,
        Err(panic) => calls.keep_panic(panic),
    }
}
