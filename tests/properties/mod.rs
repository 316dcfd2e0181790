//! What must hold whatever clients do, checked against plain models.

mod atomicity;
mod eviction;
mod sessions;
