//! The pictures of every page, side by side.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::judge::View;
use crate::support::browser::Browser;

/// Where pictures are saved, if somebody wants any.
pub struct Album {
    folder: Option<PathBuf>,
    names: Mutex<BTreeSet<String>>,
}

impl Album {
    /// An empty album.
    pub fn open() -> Self {
        let wanted = std::env::var_os("DW_TEST_SCREENSHOTS").is_some();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        let folder = wanted.then_some(folder);
        if let Some(folder) = &folder {
            let _ = std::fs::remove_dir_all(folder);
            std::fs::create_dir_all(folder).expect("create the folder of screenshots");
        }
        Self { folder, names: Mutex::default() }
    }

    /// In which views pages are looked at.
    pub fn views(&self) -> &'static [View] {
        if self.folder.is_some() { &View::ALL } else { &View::SHORT }
    }

    /// Keeps a picture of the page, if pictures are wanted.
    pub async fn keep(&self, browser: &Browser, name: &str, view: View) {
        let Some(folder) = &self.folder else { return };
        browser.screenshot(&folder.join(format!("{name}-{}.png", view.name()))).await;
        self.names.lock().expect("unpoisoned").insert(name.to_owned());
    }

    /// Writes `index.html`, which shows all of them.
    pub fn close(&self) {
        let Some(folder) = &self.folder else { return };
        let mut html = "<!doctype html><meta charset=utf-8><title>Every page</title><style>\
            body { font: 1rem/1.5 system-ui; margin: 2rem; background: #888; color: #fff }\
            section { display: flex; gap: 1rem; align-items: start; overflow-x: auto }\
            </style><h1>Every page</h1>"
            .to_owned();
        for name in self.names.lock().expect("unpoisoned").iter() {
            let _ = write!(html, "\n<h2>{name}</h2><section>");
            for view in View::ALL {
                let file = format!("{name}-{}.png", view.name());
                let width = view.width / 2;
                let _ = write!(
                    html,
                    "<a href=\"{file}\"><img src=\"{file}\" alt=\"{}\" width={width} loading=lazy></a>",
                    view.name()
                );
            }
            html.push_str("</section>");
        }
        std::fs::write(folder.join("index.html"), html).expect("save the index");
        eprintln!("the pictures are in {}", folder.join("index.html").display());
    }
}
