"""A connector as one writes it in an afternoon: it keeps nothing, repeats nothing, and believes every answer."""
import json, os, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LP, CHANNEL = os.environ["LP_URL"], os.environ["CHANNEL_URL"]
ACCOUNT, CLIENT, SECRET = "sandbox", "sandbox-client", "sandbox-secret"
API = f"{LP}/api/account/{ACCOUNT}"
conversations, threads = {}, {}


def call(url, body, headers, kind="application/json"):
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": kind, **headers})) as answer:
        text = answer.read()
        return json.loads(text) if text else None


def tokens(consumer):
    app = call(f"{LP}/sentinel/api/account/{ACCOUNT}/app/token?v=1.0&grant_type=client_credentials",
               f"client_id={CLIENT}&client_secret={SECRET}", {}, "application/x-www-form-urlencoded")["access_token"]
    jws = call(f"{API}/consumer?v=1.0", {"ext_consumer_id": consumer}, {"Authorization": app})["token"]
    return {"Authorization": app, "X-LP-ON-BEHALF": jws}


def say(thread, consumer, event):
    path, auth = f"{API}/messaging/consumer/conversation", tokens(consumer)
    if thread not in conversations:
        opened = call(f"{path}?v=3", [
            {"kind": "req", "id": "1", "type": "userprofile.SetUserProfile", "body": {"authenticatedData": {}}},
            {"kind": "req", "id": "2", "type": "cm.ConsumerRequestConversation", "body": {"brandId": ACCOUNT}}], auth)
        conversations[thread] = opened[1]["body"]["conversationId"]
        threads[conversations[thread]] = thread
    id = conversations[thread]
    call(f"{path}/send?v=3", {"kind": "req", "id": "1", "type": "ms.PublishEvent", "body": {"dialogId": id, "conversationId": id, "event": event}}, auth)


class Connector(BaseHTTPRequestHandler):
    def do_POST(self):
        got = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/consumers":
            states = {"composing": "COMPOSING", "paused": "PAUSE", "stopped": "ACTIVE"}
            event = {"type": "ContentEvent", "contentType": "text/plain", "message": got["message"]["text"]} if got["type"] == "message" \
                else {"type": "ChatStateEvent", "chatState": states[got["typing"]["state"]]}
            say(got["thread"], got["consumer"]["id"], event)
        elif got["type"] == "ms.MessagingEventNotification":
            for change in got["body"]["changes"]:
                by, event = change.get("originatorMetadata", {}).get("role"), change["event"]
                if by != "CONSUMER" and event["type"] == "ContentEvent":
                    call(CHANNEL, {"type": "message", "thread": threads[change["conversationId"]], "message": {"text": event["message"]}}, {})
        self.send_response(200)
        self.end_headers()


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Connector).serve_forever()
