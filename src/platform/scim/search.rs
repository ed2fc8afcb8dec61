//! Finding, changing and deleting resources, as far as the server helps.

use super::Scim;
use super::change::{Change, changed, patch};
use super::client::Call;
use super::resource::{Kind, Page, Resource};
use super::trouble::{Oddity, Trouble};
use crate::platform::{PlatformError, Undone};

/// How many are asked for at once, and how many pages are read before it is too many.
const PAGE_SIZE: usize = 100;
const MOST_PAGES: usize = 20;

/// How often a change is tried again because somebody else was faster.
const TRIES: usize = 5;

impl Scim {
    /// What a filter finds; everything where the server does not filter. Whoever asks compares
    /// again. More than anybody could look through is an error, not a part.
    pub(super) async fn listed(&self, kind: Kind, filter: &str) -> Result<Vec<Resource>, Trouble> {
        let filters = self.offer().await?.filter;
        let mut all = Vec::new();
        for _ in 0..MOST_PAGES {
            let mut call = Call::get(&[kind.path()])
                .by("startIndex", (all.len() + 1).to_string())
                .by("count", PAGE_SIZE.to_string());
            if filters {
                call = call.by("filter", filter);
            }
            let page: Page = self.client.ask(call).await?;
            let is_last = page.resources.is_empty();
            all.extend(page.resources);
            if is_last || all.len() >= page.total_results {
                return Ok(all);
            }
        }
        Err(Oddity::TooMany.into())
    }

    /// Changes what was just read, and reads again where somebody else was faster. Where the
    /// server tells no versions, changes of the same attribute at the same time may meet. False
    /// where there is nothing to change any more.
    pub(super) async fn change(
        &self,
        (kind, id): (Kind, &str),
        plan: impl Fn(&Resource) -> Vec<Change> + Send + Sync,
    ) -> Result<bool, Trouble> {
        for _ in 0..TRIES {
            let Some(resource) = self.client.find(kind, id).await? else {
                return Ok(false);
            };
            let changes = plan(&resource);
            if changes.is_empty() {
                return Ok(true);
            }
            match self.write((kind, id), resource, &changes).await {
                Err(trouble) if trouble.is_outdated() => {}
                Err(trouble) if trouble.is_absence() => return Ok(false),
                Err(trouble) => return Err(trouble),
                Ok(()) => return Ok(true),
            }
        }
        Err(PlatformError::Busy { retry_after: None }.into())
    }

    async fn write(
        &self,
        (kind, id): (Kind, &str),
        resource: Resource,
        changes: &[Change],
    ) -> Result<(), Trouble> {
        let offer = self.offer().await?;
        let version = resource.version().filter(|_| offer.etag).map(str::to_owned);
        let path = [kind.path(), id];
        let call = if offer.patch {
            Call::patch(&path).with(&patch(changes))
        } else {
            let whole = changed(resource, changes);
            Call::put(&path).with(&serde_json::Value::Object(whole.0))
        };
        self.client.tell(call.only_if(version.as_deref())).await
    }

    /// Deletes what was just read; none when it has changed since.
    pub(super) async fn delete(
        &self,
        kind: Kind,
        resource: &Resource,
    ) -> Result<Option<Undone>, Trouble> {
        let version = resource.version();
        let has_versions = self.offer().await?.etag;
        let call = Call::delete(&[kind.path(), resource.id()?]);
        let call = call.only_if(version.filter(|_| has_versions));
        match self.client.tell(call).await {
            Ok(()) => Ok(Some(Undone::Removed)),
            // Also when a reply was lost and the call repeated: it was ours to remove.
            Err(trouble) if trouble.is_absence() => Ok(Some(Undone::Removed)),
            Err(trouble) if trouble.is_outdated() => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }
}
