//! The reference of the JSON interface has every call that there is, and no other.

use std::collections::BTreeSet;

use super::{guide, quoted};
use crate::app::*;

/// A path without its query, and without the names of its parameters.
fn plain(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let parts = path.split('/').map(|part| if part.starts_with('<') { "<>" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[rocket::async_test]
async fn every_call_of_the_interface_is_in_its_reference() {
    let app = TestApp::light().await;
    let mounted = app.client.rocket().routes();
    let mounted = mounted.map(|route| format!("{} {}", route.method, plain(route.uri.path())));
    let mounted: BTreeSet<String> = mounted.filter(|call| call.contains(" /api/v1/")).collect();
    let mut told = BTreeSet::new();
    for row in guide("docs/api.md").rows() {
        let call = row.first().and_then(|cell| quoted(cell).first()?.split_once(' '));
        told.extend(call.map(|(method, path)| format!("{method} {}", plain(path))));
    }
    told.retain(|call| call.contains(" /api/v1/"));
    assert_eq!(mounted, told);
}
