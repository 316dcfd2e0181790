//! nginx as built by others, in front of a server.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command};

use super::held_port::HeldPort;
use super::peers::peer;
use super::process::{Folder, wait_for, with_output_in};

/// nginx while it runs; it ends with this value.
pub(crate) struct Nginx {
    child: Child,
    folder: Folder,
    port: HeldPort,
}

impl Nginx {
    /// Starts it with what is inside the block `server` of its configuration; none if it is not installed.
    pub(crate) fn start(server: &str) -> Option<Nginx> {
        let program = peer("nginx")?;
        let (folder, port) = (Folder::new(), HeldPort::take());
        let address = port.address();
        let path = folder.path().display();
        let configuration = format!(
            r#"daemon off;
master_process off;
pid {path}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {path}/body;
    proxy_temp_path {path}/proxy;
    fastcgi_temp_path {path}/fastcgi;
    uwsgi_temp_path {path}/uwsgi;
    scgi_temp_path {path}/scgi;
    server {{
        listen {address};
        root {path};
        {server}
    }}
}}
"#
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, configuration).expect("the folder was just made");
        let mut command = with_output_in(&folder, Command::new(program));
        let child = command.arg("-e").arg("stderr").arg("-c").arg(&file).spawn().expect("the peer was found");
        let mut nginx = Nginx { child, folder, port };
        wait_for(|| {
            assert!(nginx.child.try_wait().expect("the child is ours").is_none(), "nginx ended");
            TcpStream::connect(address).ok()
        });
        Some(nginx)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The page that it serves by default.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // A process that has already ended cannot be killed, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
