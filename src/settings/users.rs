//! The users of the settings: tables `[[users]]` in the file, or the same tables between brackets as the text of a flag.
//!
//! An error names the user, the field and the remedy, and never shows a password.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::kind::{SettingKind, Value};
use super::source::quoted;
use super::suggest::did_you_mean;
use crate::access::{DEFAULT_USER, Permission, Permissions, Responses, Rule, Subjects, User};

/// Users in the settings; more need a store of their own.
const USERS_MAX: usize = 1000;

/// Entries of one list of subjects.
const SUBJECTS_MAX: usize = 1000;

/// Bytes of a name.
const NAME_LENGTH_MAX: usize = 128;

/// Bytes of a password, as of `requirepass`.
const PASSWORD_LENGTH_MAX: usize = 512;

/// The most answers to one request that can be asked for.
const RESPONSES_MAX: i64 = 1_000_000_000;

/// The longest time for them, in seconds: a year.
const RESPONSE_SECONDS_MAX: i64 = 365 * 24 * 60 * 60;

/// The fields of a user.
const FIELDS: &[&str] = &["name", "password", "publish", "subscribe", "allow_responses"];

/// The beginnings and the length of the hashes that nats-server takes for passwords.
const HASH_PREFIXES: &[&str] = &["$2a$", "$2b$", "$2x$", "$2y$"];
const HASH_LENGTH: usize = 60;

/// What is not valid, and the byte of the text at which it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) reason: String,
}

impl Fault {
    fn new(at: usize, reason: impl Into<String>) -> Fault {
        Fault { at, reason: reason.into() }
    }

    /// Says where in a user it is.
    fn within(mut self, place: &str) -> Fault {
        self.reason.insert_str(0, &format!("{place}: "));
        self
    }
}

/// A value with its place.
type Item<'i> = Spanned<DeValue<'i>>;

fn start(item: &Item<'_>) -> usize {
    item.span().start
}

impl Value for Arc<[User]> {
    fn assign(&mut self, text: &str, _kind: &SettingKind) -> Result<(), String> {
        if text.trim().is_empty() {
            *self = Arc::default();
            return Ok(());
        }
        let text = format!("users = {text}\n");
        let table = DeTable::parse(&text).map_err(|error| error.message().replace(['\r', '\n'], " "))?;
        let mut entries = table.get_ref().iter();
        let (Some((_, users)), None) = (entries.next(), entries.next()) else {
            return Err("it is more than one list".to_owned());
        };
        *self = parse(users).map_err(|fault| fault.reason)?.into();
        Ok(())
    }

    fn text(&self) -> String {
        if self.is_empty() {
            return String::new();
        }
        let users: Vec<String> = self.iter().map(user_text).collect();
        format!("[{}]", users.join(", "))
    }
}

/// The users that a value lists.
pub(super) fn parse(users: &Item<'_>) -> Result<Vec<User>, Fault> {
    let DeValue::Array(items) = users.get_ref() else {
        return Err(Fault::new(start(users), "users is a list: begin each user with a line [[users]]"));
    };
    if items.len() > USERS_MAX {
        return Err(Fault::new(start(users), format!("there are more than {USERS_MAX} users")));
    }
    let mut names = HashSet::new();
    let mut parsed = Vec::with_capacity(items.len());
    for item in items {
        let user = user(item)?;
        if !names.insert(Arc::clone(&user.name)) {
            let reason = format!("user {} is there twice: give one another name", quoted(&user.name));
            return Err(Fault::new(start(item), reason));
        }
        parsed.push(user);
    }
    Ok(parsed)
}

fn user(item: &Item<'_>) -> Result<User, Fault> {
    let DeValue::Table(table) = item.get_ref() else {
        return Err(Fault::new(start(item), "a user is a table: begin it with a line [[users]]"));
    };
    let Some(name) = table.get("name") else {
        return Err(Fault::new(start(item), "a user has no name: give it one with name = \"...\""));
    };
    let name = name_of(name).map_err(|fault| fault.within("users: name"))?;
    fields(item, table, &name).map_err(|fault| fault.within(&format!("user {}", quoted(&name))))
}

fn name_of(item: &Item<'_>) -> Result<String, Fault> {
    let name = string(item)?;
    let is_plain = !name.chars().any(char::is_control);
    if name.is_empty() || name.len() > NAME_LENGTH_MAX || !is_plain {
        let allowed = format!("a name has 1 to {NAME_LENGTH_MAX} bytes and no control characters");
        return Err(Fault::new(start(item), allowed));
    }
    if name == DEFAULT_USER {
        let reason = format!(
            "{DEFAULT_USER} is the user whose password is requirepass: set that, or choose another name"
        );
        return Err(Fault::new(start(item), reason));
    }
    Ok(name.to_owned())
}

/// The user with this name, from all of its fields.
fn fields(item: &Item<'_>, table: &DeTable<'_>, name: &str) -> Result<User, Fault> {
    check_fields(table, FIELDS)?;
    let Some(password) = table.get("password") else {
        return Err(Fault::new(start(item), "there is no password: give it one with password = \"...\""));
    };
    let password = password_of(password).map_err(|fault| fault.within("password"))?;
    let direction = |field: &str, takes_groups| match table.get(field) {
        Some(item) => permission(item, takes_groups).map(Some).map_err(|fault| fault.within(field)),
        None => Ok(None),
    };
    let (publish, subscribe) = (direction("publish", false)?, direction("subscribe", true)?);
    let responses = table.get("allow_responses").map(responses).transpose();
    let responses = responses.map_err(|fault| fault.within("allow_responses"))?.flatten();
    if publish.is_none() && subscribe.is_none() && responses.is_none() {
        return Ok(User { name: name.into(), password, permissions: None });
    }
    let mut publish = publish.unwrap_or_default();
    if responses.is_some() && publish.allow.is_none() {
        // As in nats-server: who may answer may publish nothing else by itself.
        publish.allow = Some(Subjects::default());
    }
    let permissions = Permissions { publish, subscribe: subscribe.unwrap_or_default(), responses };
    Ok(User { name: name.into(), password, permissions: Some(Arc::new(permissions)) })
}

fn password_of(item: &Item<'_>) -> Result<Box<str>, Fault> {
    let password = string(item)?;
    if password.is_empty() || password.len() > PASSWORD_LENGTH_MAX {
        return Err(Fault::new(start(item), format!("it must have 1 to {PASSWORD_LENGTH_MAX} bytes")));
    }
    if password.len() == HASH_LENGTH && HASH_PREFIXES.iter().any(|prefix| password.starts_with(prefix)) {
        return Err(Fault::new(
            start(item),
            "it is a bcrypt hash, which is not supported: write the password",
        ));
    }
    Ok(password.into())
}

/// A list of what is allowed, or a table of two lists.
fn permission(item: &Item<'_>, takes_groups: bool) -> Result<Permission, Fault> {
    match item.get_ref() {
        DeValue::Array(_) => {
            Ok(Permission { allow: Some(subjects(item, takes_groups)?), ..Permission::default() })
        }
        DeValue::Table(table) => {
            check_fields(table, &["allow", "deny"])?;
            let list = |field: &str| match table.get(field) {
                Some(item) => subjects(item, takes_groups).map(Some).map_err(|fault| fault.within(field)),
                None => Ok(None),
            };
            Ok(Permission { allow: list("allow")?, deny: list("deny")?.unwrap_or_default() })
        }
        _ => {
            let reason = "it must be a list such as [\"orders.>\"], or { allow = [...], deny = [...] }";
            Err(Fault::new(start(item), reason))
        }
    }
}

fn subjects(item: &Item<'_>, takes_groups: bool) -> Result<Subjects, Fault> {
    let DeValue::Array(items) = item.get_ref() else {
        return Err(Fault::new(start(item), "it must be a list such as [\"orders.>\"]"));
    };
    if items.len() > SUBJECTS_MAX {
        return Err(Fault::new(start(item), format!("there are more than {SUBJECTS_MAX} subjects")));
    }
    items.iter().map(|item| rule(item, takes_groups)).collect::<Result<_, _>>().map(Subjects::new)
}

fn rule(item: &Item<'_>, takes_groups: bool) -> Result<Rule, Fault> {
    let text = string(item)?;
    let refuse = |reason: &str| Err(Fault::new(start(item), format!("{} {reason}", quoted(text))));
    match Rule::parse(text) {
        Ok(rule) if rule.group.is_some() && !takes_groups => {
            refuse("names a queue group, which only subscriptions have: write the subject alone")
        }
        Ok(rule) => Ok(rule),
        Err(reason) => {
            let form = "a subject is tokens between full stops, like orders.eu.new, orders.*.new or orders.>";
            refuse(&format!("is {reason}; {form}"))
        }
    }
}

/// The answers that a user may give; none for `false`.
fn responses(item: &Item<'_>) -> Result<Option<Responses>, Fault> {
    let default = Responses::default();
    match item.get_ref() {
        DeValue::Boolean(is_allowed) => Ok(is_allowed.then_some(default)),
        DeValue::Table(table) => {
            check_fields(table, &["max", "ttl"])?;
            let number = |field: &str, most: i64| match table.get(field) {
                Some(item) => number(item, most).map(Some).map_err(|fault| fault.within(field)),
                None => Ok(None),
            };
            let max = number("max", RESPONSES_MAX)?.and_then(|number| u32::try_from(number).ok());
            let ttl = number("ttl", RESPONSE_SECONDS_MAX)?.map(Duration::from_secs);
            Ok(Some(Responses { max: max.unwrap_or(default.max), ttl: ttl.unwrap_or(default.ttl) }))
        }
        _ => Err(Fault::new(start(item), "it must be true, false, or { max = answers, ttl = seconds }")),
    }
}

fn number(item: &Item<'_>, most: i64) -> Result<u64, Fault> {
    let number = match item.get_ref() {
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    };
    let number = number.filter(|number| (1..=most).contains(number));
    let refused = || Fault::new(start(item), format!("it must be an integer from 1 to {most}"));
    number.and_then(|number| u64::try_from(number).ok()).ok_or_else(refused)
}

fn string<'i>(item: &'i Item<'_>) -> Result<&'i str, Fault> {
    match item.get_ref() {
        DeValue::String(text) => Ok(text),
        _ => Err(Fault::new(start(item), "it must be text between quotes")),
    }
}

fn check_fields(table: &DeTable<'_>, known: &[&str]) -> Result<(), Fault> {
    let unknown = table.iter().find(|(key, _)| !known.contains(&key.get_ref().as_ref()));
    let Some((key, _)) = unknown else { return Ok(()) };
    let name: &str = key.get_ref();
    let suggestion = did_you_mean(name, known.iter().copied());
    let reason = format!("{} is no field{suggestion}; the fields are {}", quoted(name), known.join(", "));
    Err(Fault::new(key.span().start, reason))
}

/// A user as it stands in a list between brackets, with all that was given.
fn user_text(User { name, password, permissions }: &User) -> String {
    let mut text = format!("{{ name = {}, password = {}", string_text(name), string_text(password));
    if let Some(Permissions { publish, subscribe, responses }) = permissions.as_deref() {
        for (field, permission) in [("publish", publish), ("subscribe", subscribe)] {
            let _ = write!(text, ", {field} = {}", permission_text(permission));
        }
        if let Some(Responses { max, ttl }) = responses {
            let _ = write!(text, ", allow_responses = {{ max = {max}, ttl = {} }}", ttl.as_secs());
        }
    }
    text + " }"
}

fn permission_text(Permission { allow, deny }: &Permission) -> String {
    let list = |subjects: &Subjects| {
        let rules: Vec<String> = subjects.rules().iter().map(|rule| string_text(&rule.to_string())).collect();
        format!("[{}]", rules.join(", "))
    };
    let allow = allow.as_ref().map(|allow| format!("allow = {}, ", list(allow)));
    format!("{{ {}deny = {} }}", allow.unwrap_or_default(), list(deny))
}

/// Text between quotes.  JSON and TOML escape alike but for one character.
fn string_text(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\x7f', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use crate::settings::source::Stop;

    const BOTH: &str = r#"
        [[users]]
        name = "ann"
        password = "a\"\\\u007f\n"
        publish = ["orders.*", "_INBOX.>"]
        subscribe = { allow = ["orders.> workers", "_INBOX.>"], deny = ["orders.secret"] }
        allow_responses = { max = 5, ttl = 10 }

        [[users]]
        name = "ben"
        password = "b"
    "#;

    /// The users of a file.
    fn users(file: &str) -> Result<Vec<User>, Stop> {
        let given = crate::settings::file::parse("q.toml", file)?;
        let mut settings = Settings::default();
        for given in given {
            given.row.assign(&mut settings, &given.value).expect("what the file gives is valid");
        }
        Ok(settings.users.to_vec())
    }

    #[track_caller]
    fn check_refused(file: &str, expected: &str) {
        let refused = users(file).err();
        assert_eq!(refused, Some(Stop::Invalid(format!("file q.toml, line {expected}"))), "{file}");
    }

    /// What is wrong with a user of whom the file says this besides the name and the password.
    #[track_caller]
    fn check_field(field: &str, expected: &str) {
        let file = format!("[[users]]\nname = 'ann'\npassword = 'secret'\n{field}");
        check_refused(&file, &format!("4: user 'ann': {expected}"));
    }

    fn permissions(fields: &str) -> Option<Arc<Permissions>> {
        let file = format!("[[users]]\nname = 'ann'\npassword = 'x'\n{fields}");
        users(&file).expect("the user is valid")[0].permissions.clone()
    }

    #[test]
    fn a_file_lists_users_with_their_permissions() {
        let users = users(BOTH).expect("both are valid");
        let [ann, ben] = &users[..] else { panic!("there are two") };
        assert_eq!((&*ann.name, &*ann.password), ("ann", "a\"\\\u{7f}\n"));
        assert_eq!((&*ben.name, &*ben.password), ("ben", "b"));
        assert!(ben.permissions.is_none(), "who has no lists may do everything");
        let permissions = ann.permissions.as_ref().expect("it has some");
        assert!(permissions.may_publish(b"orders.new") && !permissions.may_publish(b"orders"));
        assert!(permissions.may_subscribe(b"orders.a.b", Some(b"workers")));
        assert!(!permissions.may_subscribe(b"orders.a.b", None));
        assert!(!permissions.may_subscribe(b"orders.secret", Some(b"workers")));
        assert_eq!(permissions.responses, Some(Responses { max: 5, ttl: Duration::from_secs(10) }));
    }

    #[test]
    fn the_text_of_users_is_read_back() {
        let users: Arc<[User]> = users(BOTH).expect("both are valid").into();
        let mut again: Arc<[User]> = Arc::default();
        assert_eq!(again.assign(&users.text(), &SettingKind::Users), Ok(()));
        assert!(again == users, "{}", users.text());
        for none in ["", " ", "[]"] {
            assert_eq!(again.assign(none, &SettingKind::Users), Ok(()));
            assert_eq!((again.len(), again.text()), (0, String::new()));
        }
        for (text, error) in [
            ("'ann'", "users is a list: begin each user with a line [[users]]"),
            ("[]\nport = 1", "it is more than one list"),
            ("[{ name = 'ann' }]", "user 'ann': there is no password: give it one with password = \"...\""),
        ] {
            assert_eq!(again.assign(text, &SettingKind::Users), Err(error.to_owned()));
        }
        assert!(again.assign("ann", &SettingKind::Users).is_err_and(|error| !error.contains('\n')));
    }

    #[test]
    fn who_may_answer_may_publish_nothing_else_unless_that_is_said() {
        let lists =
            |fields: &str| permissions(fields).map(|all| (all.publish.allow.is_some(), all.responses));
        assert_eq!(lists("allow_responses = true"), Some((true, Some(Responses::default()))));
        assert_eq!(lists("allow_responses = false"), None);
        assert_eq!(lists("allow_responses = false\npublish = []"), Some((true, None)));
        let answers = permissions("allow_responses = { max = 2 }\npublish = { deny = ['a'] }").expect("some");
        assert!(!answers.may_publish(b"b") && answers.responses.is_some_and(|all| all.max == 2));
        let restricted = permissions("publish = { deny = ['a'] }").expect("some");
        assert!(restricted.may_publish(b"b") && !restricted.may_publish(b"a"));
    }

    #[test]
    fn what_is_not_valid_is_named_with_its_remedy() {
        check_refused("users = 1", "1: users is a list: begin each user with a line [[users]]");
        check_refused("[users]\nname = 'a'", "1: users is a list: begin each user with a line [[users]]");
        check_refused("users = ['ann']", "1: a user is a table: begin it with a line [[users]]");
        check_refused(
            "\n[[users]]\npassword = 'x'",
            "2: a user has no name: give it one with name = \"...\"",
        );
        check_refused(
            "[[users]]\nname = 'ann'",
            "1: user 'ann': there is no password: give it one with password = \"...\"",
        );
        let twice = "[[users]]\nname = 'ann'\npassword = 'x'\n".repeat(2);
        check_refused(&twice, "4: user 'ann' is there twice: give one another name");
        check_refused(
            "[[users]]\nname = 'default'\npassword = 'x'",
            "2: users: name: default is the user whose password is requirepass: set that, or choose another name",
        );
        check_field(
            "publsh = []",
            "'publsh' is no field; did you mean publish?; the fields are name, password, publish, subscribe, \
             allow_responses",
        );
        check_field(
            "publish = 'a'",
            "publish: it must be a list such as [\"orders.>\"], or { allow = [...], deny = [...] }",
        );
        check_field("publish = [1]", "publish: it must be text between quotes");
        check_field(
            "subscribe = { allow = ['a..b'] }",
            "subscribe: allow: 'a..b' is no subject; a subject is tokens between full stops, like orders.eu.new, \
             orders.*.new or orders.>",
        );
        check_field(
            "publish = { deny = ['a group'] }",
            "publish: deny: 'a group' names a queue group, which only subscriptions have: write the subject alone",
        );
        check_field(
            "subscribe = { forbid = [] }",
            "subscribe: 'forbid' is no field; the fields are allow, deny",
        );
        check_field(
            "allow_responses = 1",
            "allow_responses: it must be true, false, or { max = answers, ttl = seconds }",
        );
        check_field(
            "allow_responses = { ttl = '2m' }",
            "allow_responses: ttl: it must be an integer from 1 to 31536000",
        );
        check_field(
            "allow_responses = { max = 0 }",
            "allow_responses: max: it must be an integer from 1 to 1000000000",
        );
    }

    #[test]
    fn passwords_are_bounded_and_never_shown() {
        let file = |password: &str| format!("[[users]]\nname = 'ann'\npassword = '{password}'");
        for (password, expected) in [
            (String::new(), "it must have 1 to 512 bytes"),
            ("sesame".repeat(100), "it must have 1 to 512 bytes"),
            (
                format!("$2a$11${}", "x".repeat(53)),
                "it is a bcrypt hash, which is not supported: write the password",
            ),
        ] {
            check_refused(&file(&password), &format!("3: user 'ann': password: {expected}"));
        }
        assert!(users(&file(&"x".repeat(PASSWORD_LENGTH_MAX))).is_ok());
        let settings =
            Settings { users: users(&file("sesame")).expect("valid").into(), ..Settings::default() };
        let row = crate::settings::table::find("users").expect("there is such a row");
        assert!(row.is_secret());
        assert_eq!(
            (row.shown(&settings).as_str(), row.shown(&Settings::default()).as_str()),
            ("(hidden)", "")
        );
        assert!(!format!("{settings:?}").contains("sesame"));
    }

    #[test]
    fn lists_are_bounded() {
        let list = |length: usize| format!("publish = [{}]", "'a', ".repeat(length));
        assert!(permissions(&list(SUBJECTS_MAX)).is_some());
        check_field(&list(SUBJECTS_MAX + 1), "publish: there are more than 1000 subjects");
        let many = |length: usize| {
            let user = |number| format!("[[users]]\nname = 'u{number}'\npassword = 'x'\n");
            (0..length).map(user).collect::<String>()
        };
        assert_eq!(users(&many(USERS_MAX)).map(|users| users.len()), Ok(USERS_MAX));
        check_refused(&many(USERS_MAX + 1), "1: there are more than 1000 users");
        let name = |length: usize| format!("[[users]]\nname = '{}'\npassword = 'x'", "n".repeat(length));
        assert!(users(&name(NAME_LENGTH_MAX)).is_ok());
        let refused = "2: users: name: a name has 1 to 128 bytes and no control characters";
        check_refused(&name(NAME_LENGTH_MAX + 1), refused);
    }
}
