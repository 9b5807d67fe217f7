//! The ways back to those who ask.

use super::super::super::stub::Client;
use super::{CAPACITY, Return};
use std::collections::BTreeMap;

/// Clients and the ways back to them; the oldest is forgotten when there are too many.
#[derive(Debug, Default)]
pub(super) struct Clients {
    by_number: BTreeMap<Client, Return>,
    by_return: BTreeMap<Return, Client>,
}

impl Clients {
    pub(super) fn get(&self, client: Client) -> Option<Return> {
        self.by_number.get(&client).copied()
    }

    pub(super) fn get_by_return(&self, way_back: Return) -> Option<Client> {
        self.by_return.get(&way_back).copied()
    }

    pub(super) fn insert(&mut self, client: Client, way_back: Return) {
        self.by_number.insert(client, way_back);
        self.by_return.insert(way_back, client);
        if self.by_number.len() > CAPACITY
            && let Some((_, oldest)) = self.by_number.pop_first()
        {
            self.by_return.remove(&oldest);
        }
    }

    pub(super) fn remove(&mut self, client: Client) {
        if let Some(way_back) = self.by_number.remove(&client) {
            self.by_return.remove(&way_back);
        }
    }
}
