"""Prints what an independent reader finds in a mail's file, as JSON."""
import email, json, re, sys
from email import policy
from html.parser import HTMLParser

mail = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=policy.default)


class Loads(HTMLParser):
    """Collects what showing the page would fetch: everything but links that a person follows."""

    def __init__(self):
        super().__init__()
        self.found, self.style = [], False

    def handle_starttag(self, tag, attributes):
        self.style = tag == "style"
        for name, value in attributes:
            if name in ("src", "srcset", "background", "poster", "data") or (name == "href" and tag != "a"):
                self.found.append(value)
            if name == "style":
                self.handle_style(value)

    def handle_data(self, data):
        if self.style:
            self.handle_style(data)

    def handle_style(self, text):
        self.found += re.findall(r"url\(([^)]*)\)", text) + re.findall(r"@import[^;]*", text)


page = mail.get_body(("html",))
loads = Loads()
loads.feed(page.get_content())
pictures = [part for part in mail.walk() if part.get_content_maintype() == "image"]
print(json.dumps({
    "headers": {name: str(value) for name, value in mail.items()},
    "parts": [part.get_content_type() for part in mail.walk()],
    "text": mail.get_body(("plain",)).get_content(),
    "page": page.get_content(),
    "loads": loads.found,
    "pictures": [{"id": part["Content-ID"], "disposition": part.get_content_disposition(),
                  "png": part.get_content()[:8] == b"\x89PNG\r\n\x1a\n"} for part in pictures],
    "defects": [repr(defect) for part in mail.walk() for defect in part.defects],
}))
