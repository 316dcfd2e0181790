//! The scripts that the server knows, by the SHA-1 of their texts: one table for all threads.
//!
//! A script that SCRIPT LOAD has brought stays until SCRIPT FLUSH.  Of those that EVAL has brought only the most recently used ones stay,
//! since some clients put their arguments into the text and send a new one each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use hashbrown::HashMap;
use sha1::{Digest, Sha1};

use super::libraries::Libraries;
use super::memory;
use super::shebang::{Shebang, ShebangFlags};
use crate::lock_order::{Mutex, rank};

/// Scripts that EVAL has brought of which the texts are kept, as in Redis 7.4.
pub(crate) const EVALUATED_MAX: usize = 500;

/// The SHA-1 of a text in hexadecimal digits.
pub(crate) type ScriptId = [u8; 40];

/// A script.
#[derive(Debug)]
pub(crate) struct Script {
    /// What clients call it by.
    pub(crate) id: ScriptId,
    /// The text as the client sent it.
    pub(crate) text: Box<[u8]>,
    /// What its first line says.
    pub(crate) flags: Option<ShebangFlags>,
    /// Where the text of Lua begins, behind that line.
    pub(crate) body: usize,
    /// It has touched a key that was not declared, so it is started with the store alone.
    pub(crate) runs_alone: AtomicBool,
    /// The number of the table it is made for.
    table: u64,
    /// SCRIPT LOAD has brought it.
    is_loaded: AtomicBool,
    /// It is in the table.
    is_known: AtomicBool,
    /// When it was used last, in milliseconds of the server's clock.
    last_used: AtomicU64,
}

impl Script {
    /// Whether clients may still call it by its id.
    pub(crate) fn is_known(&self) -> bool {
        self.is_known.load(Relaxed)
    }

    /// Notes that it is used.
    pub(crate) fn touch(&self, now: u64) {
        self.last_used.store(now, Relaxed);
    }

    /// The text of Lua.
    pub(crate) fn body(&self) -> &[u8] {
        &self.text[self.body..]
    }
}

/// All scripts of a server.
pub struct Scripts {
    /// Tells it from the tables of other servers in this process.
    number: u64,
    /// The libraries of functions.
    pub libraries: Arc<Libraries>,
    known: Mutex<Known, { rank::SCRIPTS }>,
}

impl Scripts {
    /// No scripts, beside these libraries of functions.
    pub fn new(libraries: Libraries) -> Scripts {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let libraries = Arc::new(libraries);
        Scripts { number: LAST.fetch_add(1, Relaxed), libraries, known: Mutex::default() }
    }
}

#[derive(Debug, Default)]
struct Known {
    scripts: HashMap<ScriptId, Arc<Script>>,
    evaluated: usize,
}

/// The id of a text.
pub(crate) fn id_of(text: &[u8]) -> ScriptId {
    let mut id = [0; 40];
    for (two, byte) in id.chunks_exact_mut(2).zip(Sha1::digest(text)) {
        two[0] = DIGITS[usize::from(byte >> 4)];
        two[1] = DIGITS[usize::from(byte & 15)];
    }
    id
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The id that a client has sent, in letters of either case; none if it cannot be one.
pub(crate) fn id_from(text: &[u8]) -> Option<ScriptId> {
    let mut id: ScriptId = text.try_into().ok()?;
    id.make_ascii_lowercase();
    Some(id)
}

impl Scripts {
    /// Whether a script is of this table.
    pub(crate) fn owns(&self, script: &Script) -> bool {
        script.table == self.number
    }

    /// The script of this id.
    pub(crate) fn find(&self, id: &ScriptId) -> Option<Arc<Script>> {
        self.known.lock().scripts.get(id).cloned()
    }

    /// The script of a text, which is not in the table yet or may not be.
    ///
    /// # Errors
    /// If its first line says what no script can be.
    pub(crate) fn read(&self, text: &[u8]) -> Result<Script, String> {
        let Shebang { flags, body } = Shebang::read(text)?;
        Ok(Script {
            id: id_of(text),
            text: text.into(),
            flags,
            body,
            table: self.number,
            runs_alone: AtomicBool::new(false),
            is_loaded: AtomicBool::new(false),
            is_known: AtomicBool::new(false),
            last_used: AtomicU64::new(0),
        })
    }

    /// Adds a script that can be compiled, if it is not there, and returns the one that is there.  `is_loaded` says that
    /// SCRIPT LOAD brings it.
    pub(crate) fn add(&self, script: Arc<Script>, is_loaded: bool, now: u64) -> Arc<Script> {
        let mut known = self.known.lock();
        if let Some(there) = known.scripts.get(&script.id).cloned() {
            if is_loaded && !there.is_loaded.swap(true, Relaxed) {
                known.evaluated -= 1;
            }
            return there;
        }
        if !is_loaded && known.evaluated == EVALUATED_MAX {
            known.forget_one();
        }
        script.touch(now);
        script.is_loaded.store(is_loaded, Relaxed);
        script.is_known.store(true, Relaxed);
        known.evaluated += usize::from(!is_loaded);
        known.scripts.insert(script.id, Arc::clone(&script));
        script
    }

    /// Forgets all scripts.
    pub(crate) fn flush(&self) {
        let known = std::mem::take(&mut *self.known.lock());
        for script in known.scripts.values() {
            script.is_known.store(false, Relaxed);
        }
    }

    /// What there is, and what it takes.
    pub fn figures(&self) -> ScriptFigures {
        let table = self.libraries.load();
        let known = self.known.lock();
        ScriptFigures {
            scripts: known.scripts.len(),
            script_bytes: known.scripts.values().map(|script| script.text.len()).sum(),
            libraries: table.libraries().len(),
            functions: table.function_count(),
            library_bytes: table.code_bytes(),
            lua_bytes: memory::all(),
        }
    }
}

/// What scripts and functions take.
pub struct ScriptFigures {
    /// Scripts that the server knows.
    pub scripts: usize,
    /// Bytes of their texts.
    pub script_bytes: usize,
    /// Libraries of functions.
    pub libraries: usize,
    /// Functions of all libraries.
    pub functions: usize,
    /// Bytes of the texts of libraries.
    pub library_bytes: usize,
    /// Bytes that the Lua of all threads takes.
    pub lua_bytes: usize,
}

impl Known {
    /// Forgets the script of an EVAL that was used longest ago.
    fn forget_one(&mut self) {
        let evaluated = self.scripts.values().filter(|script| !script.is_loaded.load(Relaxed));
        let Some(oldest) = evaluated.min_by_key(|script| script.last_used.load(Relaxed)) else { return };
        oldest.is_known.store(false, Relaxed);
        let id = oldest.id;
        self.scripts.remove(&id);
        self.evaluated -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(scripts: &Scripts, text: &str, is_loaded: bool, now: u64) -> Arc<Script> {
        let script = scripts.read(text.as_bytes()).expect("it has no first line of its own");
        scripts.add(Arc::new(script), is_loaded, now)
    }

    #[test]
    fn ids_are_the_sums_of_texts() {
        assert_eq!(&id_of(b"return 1"), b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
        assert_eq!(id_from(b"E0E1F9FABFC9D4800C877A703B823AC0578FF8DB"), Some(id_of(b"return 1")));
        assert_eq!(id_from(b"e0e1"), None);
    }

    #[test]
    fn scripts_of_eval_give_way_and_loaded_ones_stay() {
        let scripts = Scripts::new(Libraries::new(&Arc::default(), false));
        let loaded = added(&scripts, "loaded", true, 0);
        let both = added(&scripts, "both", false, 0);
        assert!(Arc::ptr_eq(&added(&scripts, "both", true, 0), &both));
        for number in 0..EVALUATED_MAX {
            added(&scripts, &format!("return {number}"), false, number as u64);
        }
        let first = scripts.find(&id_of(b"return 0")).expect("there is room for so many");
        first.touch(u64::MAX);
        added(&scripts, "one more", false, 1000);
        assert!(first.is_known() && loaded.is_known() && both.is_known());
        assert!(scripts.find(&id_of(b"return 1")).is_none(), "it was used longest ago");
        assert_eq!(scripts.figures().scripts, EVALUATED_MAX + 2);
        scripts.flush();
        assert!(!loaded.is_known() && scripts.find(&loaded.id).is_none());
    }
}
