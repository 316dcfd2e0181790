//! The API of streams: requests on subjects below `$JS.API.`, their bodies, replies and errors.
//!
//! It is wire only: what a request asks for is carried out elsewhere.

pub mod error;
