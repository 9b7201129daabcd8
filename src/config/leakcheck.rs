//! `[leakcheck]`: a folder for what was published, searched for our keys as files are laid into it.

use std::fs;
use std::time::Duration;

use super::section::{Scope, Section};
use crate::leakcheck::folder::Settings;

/// Reads the section; nothing where no folder is named.
pub(super) fn leakcheck(root: &mut Section<'_>) -> Option<Settings> {
    let mut section = root.section("leakcheck");
    let dir = section.path_to("dir", None);
    let usual = Settings::new(dir.clone().unwrap_or_default());
    let every = section.time("every", usual.every, Duration::from_secs(1)..=Duration::from_secs(86_400));
    let largest = section.size("largest", usual.largest, 1 << 20..=1 << 50);
    if let Some(dir) = dir.as_ref().filter(|_| section.gather.scope != Scope::Middle) {
        match fs::metadata(dir) {
            Ok(about) if about.is_dir() => {}
            Ok(_) => section.refuse("dir", format!("{} is not a directory", dir.display())),
            Err(error) => section.gather.warn(format!(
                "leakcheck.dir: {} cannot be read yet ({error}); nothing is searched for our keys until it can be",
                dir.display()
            )),
        }
    }
    section.close();
    dir.map(|dir| Settings { dir, every, largest })
}
