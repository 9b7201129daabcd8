//! Files as log rotation treats them, by table and by chance.

use std::fs::OpenOptions;
use std::io::Write;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::domain::LogProgress;
use crate::runtime::clock;

/// A log, who writes it, and what arrived of it.
struct Scene {
    home: tempfile::TempDir,
    writer: Option<File>,
    tail: Option<Tail>,
    /// What the journal holds: lines, and the marks between them.
    journal: Vec<(Option<String>, LogMark)>,
    progress: LogProgress,
    said: Vec<String>,
    flaws: Vec<(Flaw, u64)>,
    rotations: u32,
}

impl Scene {
    fn new() -> Scene {
        Scene {
            home: tempfile::tempdir().unwrap(),
            writer: None,
            tail: None,
            journal: Vec::new(),
            progress: LogProgress::default(),
            said: Vec::new(),
            flaws: Vec::new(),
            rotations: 0,
        }
    }

    fn log(&self) -> PathBuf {
        self.home.path().join("a.log")
    }

    fn numbered(&self, number: u32) -> PathBuf {
        self.home.path().join(format!("a.log.{number}"))
    }

    fn manner(&self) -> Manner {
        Manner { path: self.log(), from_start: true, longest: 64, quiet: 2 }
    }

    fn write(&mut self, text: &str) {
        let path = self.log();
        let open = || OpenOptions::new().append(true).create(true).open(path).unwrap();
        self.writer.get_or_insert_with(open).write_all(text.as_bytes()).unwrap();
    }

    /// Moves `a.log.1` to `a.log.2` and so on, to make room for the next.
    fn shift(&mut self) {
        for number in (1..=self.rotations).rev() {
            if self.numbered(number).exists() {
                fs::rename(self.numbered(number), self.numbered(number + 1)).unwrap();
            }
        }
        self.rotations += 1;
    }

    fn rename(&mut self) {
        self.shift();
        if self.log().exists() {
            fs::rename(self.log(), self.numbered(1)).unwrap();
        }
    }

    fn copy_and_truncate(&mut self) {
        self.shift();
        if self.log().exists() {
            fs::copy(self.log(), self.numbered(1)).unwrap();
            OpenOptions::new().write(true).open(self.log()).unwrap().set_len(0).unwrap();
        }
    }

    fn look(&mut self) -> io::Result<()> {
        let tail = self.tail.get_or_insert_with(|| {
            let at = self.progress.at;
            let manner = Manner { path: self.home.path().join("a.log"), from_start: true, longest: 64, quiet: 2 };
            Tail::new(manner, self.progress.mark.clone().map(|mark| (mark, at)))
        });
        let mut got = Vec::new();
        let looked = tail.look(&mut got);
        for one in got {
            match one {
                Got::Line { text, mark, .. } => {
                    assert!(self.progress.pass(mark.clone(), clock::now()), "{text}: {mark:?} was passed");
                    self.journal.push((Some(text), mark));
                }
                Got::Began { mark, .. } => {
                    self.progress.pass(mark.clone(), clock::now());
                    self.journal.push((None, mark));
                }
                Got::Flawed { flaw, begins } => self.flaws.push((flaw, begins)),
                Got::Missed(what) => self.said.push(what),
                Got::Left => {}
            }
        }
        looked.map(drop)
    }

    fn looks(&mut self, times: usize) {
        for _ in 0..times {
            drop(self.look());
        }
    }

    /// Ends the daemon; `lost` of what it handed over last was not durable.
    fn kill(&mut self, lost: usize) {
        self.tail = None;
        // Before its first mark is durable a log counts as never read.
        let kept = self.journal.len().saturating_sub(lost).max(1);
        self.journal.truncate(kept);
        let at = self.progress.at;
        self.progress =
            LogProgress { mark: self.journal.last().map(|(_, mark)| mark.clone()), at, ..Default::default() };
    }

    fn lines(&self) -> Vec<&str> {
        self.journal.iter().filter_map(|(line, _)| line.as_deref()).collect()
    }
}

#[test]
fn a_log_that_is_not_there_is_waited_for_and_then_read_from_its_first_line() {
    let mut scene = Scene::new();
    let manner = Manner { from_start: false, ..scene.manner() };
    scene.tail = Some(Tail::new(manner, None));
    assert_eq!(scene.look().unwrap_err().kind(), io::ErrorKind::NotFound);
    scene.write("one\r\n\ntw");
    scene.looks(3);
    assert_eq!(scene.lines(), ["one"], "an unfinished line waits");
    scene.write("o\n");
    scene.looks(1);
    assert_eq!(scene.lines(), ["one", "two"]);
}

#[test]
fn a_log_may_be_read_from_its_end() {
    let mut scene = Scene::new();
    scene.write("old\nhalf");
    scene.tail = Some(Tail::new(Manner { from_start: false, ..scene.manner() }, None));
    scene.looks(2);
    scene.write(" a line\nnew\n");
    scene.looks(2);
    assert_eq!(scene.lines(), ["half a line", "new"]);
    scene.kill(0);
    scene.write("later\n");
    scene.looks(2);
    assert_eq!(scene.lines(), ["half a line", "new", "later"], "a restart does not begin at the end again");
}

#[test]
fn a_renamed_file_is_finished_before_the_new_one_begins() {
    let mut scene = Scene::new();
    scene.write("1\n");
    scene.looks(3);
    scene.write("2\n");
    scene.rename();
    scene.looks(3);
    // The writer still has the old file, and so does a second worker of it after the first went on.
    let mut second = scene.writer.take().unwrap();
    second.write_all(b"3\n").unwrap();
    scene.write("5\n");
    second.write_all(b"4\nnever fini").unwrap();
    scene.looks(8);
    assert_eq!(scene.lines(), ["1", "2", "3", "4", "5"]);
    assert_eq!(scene.flaws, [(Flaw::Torn, 8)], "its place is told");
}

#[test]
fn several_rotations_between_two_looks_lose_nothing_and_neither_do_they_while_nobody_looks() {
    for down in [false, true] {
        let mut scene = Scene::new();
        scene.write("1\n");
        scene.looks(3);
        if down {
            scene.kill(0);
        }
        for text in ["2\n", "3\n", "4\n"] {
            scene.write(text);
            scene.rename();
            scene.writer = None;
        }
        scene.write("5\n");
        scene.looks(20);
        assert_eq!(scene.lines(), ["1", "2", "3", "4", "5"], "{down}");
        assert!(scene.said.is_empty(), "{:?}", scene.said);
    }
}

#[test]
fn a_copied_and_truncated_file_is_finished_in_its_copy() {
    for down in [false, true] {
        let mut scene = Scene::new();
        scene.write("1\n");
        scene.looks(3);
        if down {
            scene.kill(0);
        }
        scene.write("2\n");
        scene.copy_and_truncate();
        scene.write("3\n4\n");
        scene.looks(8);
        assert_eq!(scene.lines(), ["1", "2", "3", "4"], "{down}");
    }
}

#[test]
fn a_file_that_is_cut_short_begins_anew_and_it_is_said() {
    let mut scene = Scene::new();
    scene.write("1\n2\n3\n");
    scene.looks(3);
    OpenOptions::new().write(true).open(scene.log()).unwrap().set_len(0).unwrap();
    scene.looks(1);
    scene.write("4\n");
    scene.looks(4);
    // Grown past the old place before anybody looked.
    OpenOptions::new().write(true).open(scene.log()).unwrap().set_len(0).unwrap();
    scene.write("5\n6\n7\n8\n9\n");
    scene.looks(4);
    assert_eq!(scene.lines(), ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert!(scene.said.iter().all(|said| said.contains("cut short")) && scene.said.len() == 2, "{:?}", scene.said);
}

#[test]
fn a_hole_that_a_writer_left_at_the_begin_is_no_line() {
    let mut scene = Scene::new();
    fs::write(scene.log(), "1\n2\n").unwrap();
    scene.looks(3);
    let log = OpenOptions::new().write(true).open(scene.log()).unwrap();
    log.set_len(0).unwrap();
    log.write_all_at(b"3\n", 300_000).unwrap();
    scene.looks(12);
    assert_eq!(scene.lines(), ["1", "2", "3"]);
}

#[test]
fn a_deleted_file_is_finished_and_the_one_made_anew_is_read_whole() {
    let mut scene = Scene::new();
    scene.write("1\n");
    scene.looks(3);
    scene.write("2\n");
    fs::remove_file(scene.log()).unwrap();
    scene.write("3\n");
    scene.looks(3);
    scene.writer = None;
    scene.write("4\n");
    scene.looks(6);
    assert_eq!(scene.lines(), ["1", "2", "3", "4"]);
}

#[test]
fn a_line_that_is_too_long_is_passed_over_and_its_place_told() {
    let mut scene = Scene::new();
    let long = "x".repeat(300_000);
    scene.write(&format!("1\n{long}\n2\n{}\n{}\n3", "y".repeat(64), "z".repeat(65)));
    scene.looks(6);
    scene.write("\n");
    scene.looks(2);
    assert_eq!(scene.lines(), ["1", "2", &"y".repeat(64), "3"]);
    assert_eq!(scene.flaws, [(Flaw::TooLong, 2), (Flaw::TooLong, 300_003 + 2 + 65)]);
}

#[test]
fn a_file_that_was_compressed_unread_is_said() {
    let mut scene = Scene::new();
    scene.write("1\n");
    scene.looks(3);
    scene.kill(0);
    scene.write("2\n");
    scene.rename();
    scene.writer = None;
    fs::rename(scene.numbered(1), scene.home.path().join("a.log.1.gz")).unwrap();
    let file = OpenOptions::new().write(true).open(scene.home.path().join("a.log.1.gz")).unwrap();
    file.write_all_at(b"\x1f\x8b", 0).unwrap();
    scene.write("3\n");
    scene.looks(4);
    assert_eq!(scene.lines(), ["1", "3"]);
    assert!(scene.said.iter().any(|said| said.contains("a.log.1.gz was compressed before")), "{:?}", scene.said);
    assert!(scene.said.iter().any(|said| said.contains("is gone")), "{:?}", scene.said);
}

#[test]
fn what_is_no_file_is_refused_and_not_opened() {
    let mut scene = Scene::new();
    fs::create_dir(scene.log()).unwrap();
    assert!(scene.look().unwrap_err().to_string().contains("not a regular file"));
}

/// Writers, rotation, looks and crashes in any order: each line arrives exactly once and in order.
#[test]
fn whatever_happens_in_whatever_order_each_line_arrives_once() {
    let mut done = 0;
    for seed in 0..150 {
        let mut dice = StdRng::seed_from_u64(seed);
        let mut scene = Scene::new();
        let copies = dice.random_bool(0.5);
        let mut written = Vec::new();
        // The part of a line that stands in the log without its end.
        let mut half = String::new();
        let mut steps = Vec::new();
        scene.write("");
        scene.looks(1);
        for step in 0..120 {
            let deed = dice.random_range(0..16);
            steps.push(deed);
            match deed {
                0..=5 => {
                    for _ in 0..dice.random_range(1..6) {
                        let line = format!("{half}{seed}-{step}-{}", dice.random_range(0..1_000_000));
                        scene.write(&format!("{}\n", &line[half.len()..]));
                        half.clear();
                        written.push(line);
                    }
                }
                6 => {
                    let more = format!("h{step}.");
                    if half.len() < 30 {
                        scene.write(&more);
                        half.push_str(&more);
                    }
                }
                7 | 8 if half.is_empty() => {
                    if copies {
                        scene.copy_and_truncate();
                    } else {
                        scene.rename();
                        // The writer may go on in the old file for a while.
                        if dice.random_bool(0.7) {
                            scene.writer = None;
                        }
                    }
                }
                9 if half.is_empty() && !copies => scene.writer = None,
                10 => scene.kill(dice.random_range(0..8)),
                _ => scene.looks(dice.random_range(1..4)),
            }
        }
        scene.write("the end\n");
        written.push(format!("{half}the end"));
        scene.looks(80);
        assert_eq!(scene.lines(), written, "seed {seed}, by {}: {steps:?}", if copies { "copies" } else { "names" });
        done += written.len();
    }
    assert!(done > 10_000, "{done} lines");
}
