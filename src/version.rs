//! Which version this is, and which commit it was built from.

/// The version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The first digits of the commit; empty where the build did not know it.
pub const COMMIT: &str = env!("QUARTET_BUILT_FROM");

/// The version, and the commit between parentheses if it is known.
pub const TEXT: &str = concat!(env!("CARGO_PKG_VERSION"), env!("QUARTET_BUILT_FROM_SUFFIX"));
