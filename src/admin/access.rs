//! ACL and MODULE, as far as clients use them: there is one user, with all rights, and no module.

use quartet_protocol::resp::number::parse_integer;

use super::{HELP, HELP_SUMMARY, OPERATOR_NO_SCRIPT, categories};
use crate::command::{Call, Command, Flags, Group, Handler, Row};
use crate::refusal::Refusal;

/// The one user.
const USER: &[u8] = b"default";

/// Bits of ACL GENPASS unless it is told a number, and the most.
const PASSWORD_BITS_DEFAULT: i64 = 256;
const PASSWORD_BITS_MAX: i64 = 4096;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "acl",
        summary: "A container for Access List Control commands.",
        complexity: "Depends on subcommand.",
        since: "6.0.0",
        group: Group::Server,
        subcommands: &[
            Command {
                name: "cat",
                syntax: "[category]",
                summary: "Lists the ACL categories, or the commands inside a category.",
                complexity: "O(1) since the categories and commands are a fixed set.",
                handler: Handler::Data(cat),
                ..ROW
            },
            Command {
                name: "genpass",
                syntax: "[bits]",
                summary: "Generates a pseudorandom, secure password that can be used to identify ACL users.",
                handler: Handler::Data(genpass),
                ..ROW
            },
            Command {
                name: "getuser",
                syntax: "username",
                summary: "Lists the ACL rules of a user.",
                complexity: "O(N). Where N is the number of password, command and pattern rules that the user has.",
                flags: OPERATOR_NO_SCRIPT,
                handler: Handler::Data(getuser),
                ..ROW
            },
            Command { name: "help", summary: HELP_SUMMARY, flags: HELP, handler: Handler::Data(help), ..ROW },
            Command {
                name: "list",
                summary: "Dumps the effective rules in ACL file format.",
                complexity: "O(N). Where N is the number of configured users.",
                flags: OPERATOR_NO_SCRIPT,
                handler: Handler::Data(list),
                ..ROW
            },
            Command {
                name: "users",
                summary: "Lists all ACL users.",
                complexity: "O(N). Where N is the number of configured users.",
                flags: OPERATOR_NO_SCRIPT,
                handler: Handler::Data(users),
                ..ROW
            },
            Command {
                name: "whoami",
                summary: "Returns the authenticated username of the current connection.",
                handler: Handler::Data(whoami),
                ..ROW
            },
        ],
        ..Command::ROW
    },
    Command {
        name: "module",
        summary: "A container for module commands.",
        complexity: "Depends on subcommand.",
        since: "4.0.0",
        group: Group::Server,
        subcommands: &[
            Command {
                name: "help",
                summary: HELP_SUMMARY,
                since: "5.0.0",
                flags: HELP,
                handler: Handler::Data(module_help),
                ..ROW
            },
            Command {
                name: "list",
                summary: "Returns all loaded modules.",
                complexity: "O(N) where N is the number of loaded modules.",
                since: "4.0.0",
                flags: Flags::ADMIN.union(Flags::NOSCRIPT),
                handler: Handler::Data(module_list),
                ..ROW
            },
        ],
        ..Command::ROW
    },
];

/// The start of the subcommands' rows.
const ROW: Command = Command {
    since: "6.0.0",
    group: Group::Server,
    flags: Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE),
    ..Command::ROW
};

fn cat(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    if call.arguments.len() > 3 {
        let text = "ERR unknown subcommand or wrong number of arguments for 'CAT'. Try ACL HELP.";
        return Err(Refusal::new(text));
    }
    let Some(name) = call.arguments.get(2) else {
        call.output.array(categories::CATEGORIES.len());
        for (name, _) in categories::CATEGORIES {
            call.output.bulk(name.as_bytes());
        }
        return Ok(());
    };
    let Some(holds) = categories::find(name) else {
        let name = String::from_utf8_lossy(name).replace(['\r', '\n'], " ");
        return Err(Refusal::new(format!("ERR Unknown category '{name}'")));
    };
    let rows: Vec<&Row> = call.services.commands.rows().iter().filter(|row| holds(row)).collect();
    call.output.array(rows.len());
    for row in rows {
        call.output.bulk(row.name.as_bytes());
    }
    Ok(())
}

fn genpass(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    if call.arguments.len() > 3 {
        let text = "ERR unknown subcommand or wrong number of arguments for 'GENPASS'. Try ACL HELP.";
        return Err(Refusal::new(text));
    }
    let bits = match call.arguments.get(2) {
        None => PASSWORD_BITS_DEFAULT,
        Some(text) => parse_integer(text).ok_or(Refusal::NOT_AN_INTEGER)?,
    };
    if !(1..=PASSWORD_BITS_MAX).contains(&bits) {
        return Err(Refusal::new(format!(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to \
             {PASSWORD_BITS_MAX}"
        )));
    }
    let digits = bits.unsigned_abs().div_ceil(4) as usize;
    let mut password = String::with_capacity(digits);
    while password.len() < digits {
        // Not from the thread's generator, whose state other commands' output could reveal.
        password.push_str(&format!("{:016x}", crate::random::machine_seed()));
    }
    call.output.bulk(&password.as_bytes()[..digits]);
    Ok(())
}

fn getuser(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    if call.arguments.at(2) != USER {
        call.output.null();
        return Ok(());
    }
    let has_password = call.settings.has_password();
    call.output.map(6);
    call.output.bulk(b"flags");
    let flags: &[&[u8]] = if has_password { &[b"on"] } else { &[b"on", b"nopass"] };
    call.output.set(flags.len());
    for flag in flags {
        call.output.bulk(flag);
    }
    call.output.bulk(b"passwords");
    call.output.array(0);
    for (name, rule) in [(&b"commands"[..], &b"+@all"[..]), (b"keys", b"~*"), (b"channels", b"&*")] {
        call.output.bulk(name);
        call.output.bulk(rule);
    }
    call.output.bulk(b"selectors");
    call.output.array(0);
    Ok(())
}

/// The digest of a password, which Redis shows here, would help to guess it; so it is left out.
fn list(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let password = if call.settings.has_password() { "" } else { " nopass" };
    call.output.array(1);
    call.output.bulk(format!("user default on{password} ~* &* +@all").as_bytes());
    Ok(())
}

fn users(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.output.array(1);
    call.output.bulk(USER);
    Ok(())
}

fn whoami(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.output.bulk(USER);
    Ok(())
}

fn help(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.write_help(&[
        "CAT [<category>]",
        "    List all commands that belong to <category>, or all command categories",
        "    when no category is specified.",
        "GETUSER <username>",
        "    Get the user's details.",
        "GENPASS [<bits>]",
        "    Generate a secure 256-bit user password. The optional `bits` argument can",
        "    be used to specify a different size.",
        "LIST",
        "    Show users details in config file format.",
        "USERS",
        "    List all the registered usernames.",
        "WHOAMI",
        "    Return the current connection username.",
    ]);
    Ok(())
}

fn module_list(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.output.array(0);
    Ok(())
}

fn module_help(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.write_help(&["LIST", "    Return a list of loaded modules."]);
    Ok(())
}
