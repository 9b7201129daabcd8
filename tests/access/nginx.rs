//! A real nginx, its log and its rotation.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use crate::home::Home;

struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        drop(Command::new("kill").arg(self.0.id().to_string()).status());
        drop(self.0.wait());
    }
}

const FORMAT: &str = r#"'$remote_addr - $http_x_account [$time_local] '
    '"$request" $status "$http_user_agent"'"#;

#[tokio::test]
async fn what_a_real_nginx_writes_and_rotates_is_taken_once() {
    if Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_err() {
        println!("skipped: nginx is not here");
        return;
    }
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let home = Home::new(&format!(
        "[[access.file]]\nname = \"gateway\"\npath = \"web/access.log\"\nformat = \"nginx\"\npattern = '''\n{FORMAT};'''\n\
         account_field = \"http_x_account\"\nclient_order_id_field = \"request?newClientOrderId\"\nevery = \"20ms\"\n"
    ));
    let web = home.path("web");
    fs::create_dir(&web).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = web.display();
    let user = if fs::metadata("/proc/self").is_ok_and(|about| std::os::unix::fs::MetadataExt::uid(&about) == 0) {
        "user root;"
    } else {
        ""
    };
    let text = format!(
        "{user} worker_processes 2; pid {folder}/pid; error_log {folder}/error.txt; events {{ worker_connections 64; }}\n\
         http {{ log_format own {FORMAT}; access_log {folder}/access.log own;\n\
         client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder};\n\
         scgi_temp_path {folder}; server {{ listen {address}; location / {{ return 204; }} }} }}\n"
    );
    fs::write(home.path("nginx.conf"), text).unwrap();
    let nginx = Command::new("nginx")
        .args(["-p", web.to_str().unwrap(), "-g", "daemon off;", "-e", "stderr", "-c"])
        .arg(home.path("nginx.conf"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let nginx = Nginx(nginx);
    let mut daemon = home.start("only");
    daemon.until("nginx", || TcpStream::connect(address).is_ok()).await;
    daemon.until("the log", || daemon.said().contains("is read from byte 0")).await;
    let http = reqwest::Client::new();
    let mut sent = Vec::new();
    for round in 1..=4 {
        for each in 0..10 {
            let id = format!("r{round}-{each}");
            let reply = http
                .post(format!("http://{address}/api/v3/order?symbol=A&newClientOrderId={id}&signature=hunter2"))
                .header("X-Account", "alice")
                .header("User-Agent", "bot \"two\" \\ é")
                .send()
                .await
                .unwrap();
            assert_eq!(reply.status().as_u16(), 204);
            sent.push(id);
        }
        for number in (1..round).rev() {
            fs::rename(web.join(format!("access.log.{number}")), web.join(format!("access.log.{}", number + 1)))
                .unwrap();
        }
        fs::rename(web.join("access.log"), web.join("access.log.1")).unwrap();
        assert!(Command::new("kill").args(["-USR1", &nginx.0.id().to_string()]).status().unwrap().success());
        daemon.until("the new log", || web.join("access.log").exists()).await;
    }
    daemon.until("all lines", || home.frames("gateway").len() >= sent.len()).await;
    daemon.signal("-TERM");
    assert_eq!(daemon.ended(), Some(0), "{}", daemon.said());
    let frames = home.frames("gateway");
    let mut ids: Vec<&str> = frames.iter().map(|frame| frame["client_order_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    sent.sort_unstable();
    assert_eq!(ids, sent);
    for frame in &frames {
        assert_eq!((frame["account"].as_str(), frame["ip"].as_str()), (Some("alice"), Some("127.0.0.1")));
        assert_eq!(frame["ua"].as_str(), Some("bot \"two\" \\ é"));
        assert!(frame["time"].is_i64());
    }
    assert!(!home.everything().contains("hunter2"));
}
