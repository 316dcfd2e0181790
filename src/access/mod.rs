//! Access: passwords, users and permissions, which all doors check in the same way.
//!
//! `login` checks passwords and `attempts` counts the wrong ones; `users` are those of the settings, and `permissions` is
//! the one place that decides about subjects, with `open_requests` for the answers to requests; `tickets` let a browser in
//! where it cannot send a password.  It knows no door and no service.

pub mod attempts;
mod login;
mod open_requests;
mod permissions;
mod tickets;
mod users;

pub use login::{DEFAULT_USER, Failure, Login};
pub use open_requests::OpenRequests;
pub use permissions::{Permission, Permissions, Responses, Rule, Subjects, Violation, is_reserved_reply};
pub use tickets::{LIFETIME as TICKET_LIFETIME, TICKET_LENGTH, Tickets};
pub use users::{User, find};
