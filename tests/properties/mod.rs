//! What must hold whatever clients do, checked against plain models.

mod adaptive_eviction;
mod atomicity;
mod eviction;
mod sessions;
