"""What schemathesis cannot know of the management API: how the chunk of an upload is sent."""

import schemathesis


@schemathesis.serializer("application/offset+octet-stream")
def chunk(context, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
