"""A program that tries what a confined one must not be able to do; `probes` runs it and sees what works.

It is source, loaded like any other program inside the sandbox: `attempt(what, *more)` gives what it achieved
in words or a number, and nothing where it was refused.
"""

ATTEMPTS = """
import os, socket, threading, time

def attempt(what, *more):
    try:
        return ATTEMPTS[what](*more)
    except (OSError, MemoryError, RuntimeError) as error:
        return ""

def connect(port):
    socket.create_connection(("127.0.0.1", port), 1)
    return "a connection to this machine"

def local(name):
    socket.socket(socket.AF_UNIX).connect("\\0" + name)
    return "a connection to a local socket"

def read(path):
    with open(path) as file:
        return "a file outside was read" if file.read() else ""

def listing(path):
    return "a folder outside was listed" if os.listdir(path) else ""

def write(path):
    open(path, "a").close()
    return "a file outside was opened for writing"

def truncate(path):
    os.truncate(path, 0)
    return "a file outside was emptied"

def remove(path):
    os.unlink(path)
    return "a file outside was removed"

def mode(path):
    os.chmod(path, 0o600)
    return "a file's mode outside was changed"

def create(path):
    os.mkdir(path)
    return "a folder was made outside"

def signal(pid):
    os.kill(pid, 0)
    return "this process can be signalled"

def environment(pid):
    with open(f"/proc/{pid}/environ", "rb") as file:
        file.read()
    return "this process's environment can be read"

def memory(megabytes):
    held = bytearray(megabytes << 20)
    return "memory is not limited"

def size(megabytes):
    try:
        with open("large", "wb") as file:
            for _ in range(megabytes):
                file.write(bytes(1 << 20))
    finally:
        os.unlink("large")
    return "file size is not limited"

def scratch():
    with open("small", "w") as file:
        file.write("x")
    os.unlink("small")
    return "works"

def forks(count):
    made = 0
    for _ in range(count):
        try:
            if os.fork() == 0:
                time.sleep(30)
                os._exit(0)
            made += 1
        except OSError:
            pass
    return made

def threads(count):
    made = 0
    for _ in range(count):
        try:
            threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
            made += 1
        except RuntimeError:
            pass
    return made

def spin():
    while True:
        pass

def leave():
    if os.fork() == 0:
        try:
            os.setsid()
        except OSError:
            pass
        if os.fork() == 0:
            time.sleep(30)
        os._exit(0)
    return "left"

ATTEMPTS = {name: value for name, value in list(globals().items()) if callable(value)}
"""
