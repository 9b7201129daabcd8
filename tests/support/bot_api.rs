//! A Bot API on loopback that answers what a test tells it to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

pub struct BotApi {
    pub base_url: String,
    calls: Arc<Mutex<Vec<(String, Value)>>>,
}

impl BotApi {
    /// Listens; the nth call gets the nth answer, later ones the last. Status 0 hangs up instead.
    pub fn start(answers: Vec<(u16, &'static str)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(Mutex::new(Vec::new()));
        let book = Arc::clone(&calls);
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (status, body) = answers[number.min(answers.len() - 1)];
                let _hung_up = answer(stream.unwrap(), status, body, &book);
            }
        });
        BotApi { base_url, calls }
    }

    /// The calls so far: the path's last part and the body.
    pub fn calls(&self) -> Vec<(String, Value)> {
        self.calls.lock().unwrap().clone()
    }
}

fn answer(stream: TcpStream, status: u16, body: &str, book: &Mutex<Vec<(String, Value)>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
    }
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes)?;
    let path = first.split(' ').nth(1).unwrap_or_default();
    let method = path.rsplit('/').next().unwrap_or_default().to_owned();
    book.lock().unwrap().push((method, serde_json::from_slice(&bytes).unwrap_or(Value::Null)));
    if status > 0 {
        let location = if (300..400).contains(&status) { "Location: http://127.0.0.1:9/elsewhere\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{location}Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        reader.get_mut().write_all(head.as_bytes())?;
        reader.get_mut().write_all(body.as_bytes())?;
    }
    Ok(())
}
