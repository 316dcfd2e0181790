//! Looking at a shard that may be held for long.

use super::super::long_holds::HeldForLong;
use super::super::looks::{Look, Looked};
use super::super::recency::AccessContext;
use super::super::shard::Shard;
use super::super::shard_id::ShardId;
use super::Keyspace;

impl Keyspace<'_> {
    /// Looks at a shard as [`Keyspace::visit_shard`] does.  If it is held for long by a command, the look is left for whoever finds the
    /// shard free first.
    pub fn look<T: Send + Sync + 'static>(
        &mut self,
        id: ShardId,
        look: impl FnOnce(&mut Shard, &AccessContext) -> T + Send + 'static,
    ) -> Looked<T> {
        let mut look = Some(look);
        let visited = self.visit_shard(id, |shard, access| look.take().map(|look| look(shard, access)));
        let (reason, look) = match (visited, look) {
            (Ok(Some(found)), _) => return Looked::Found(found),
            (Err(reason @ HeldForLong::ByCommand { .. }), Some(look)) => (reason, look),
            (Err(reason), _) => return Looked::Held(reason),
            (Ok(None), _) => unreachable!("the look is there until it is taken"),
        };
        let access = self.access;
        let left =
            self.store().looks().leave(id, self.store().holds().changes(), move |shard| look(shard, &access));
        match left {
            Some(look) => self.finish_look(look),
            None => Looked::Held(reason),
        }
    }

    /// What a look has found that was left: taken by others, or now.
    pub fn finish_look<T>(&mut self, mut look: Look<T>) -> Looked<T> {
        look.seen = self.store().holds().changes();
        self.take_looks();
        match look.into_found() {
            Ok(found) => Looked::Found(found),
            Err(look) if self.store().holds().has_shard(look.shard().number()) => {
                Looked::Held(HeldForLong::ByScript)
            }
            Err(look) => Looked::Left(look),
        }
    }
}
