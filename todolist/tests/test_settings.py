def test_nothing_yet(server):
    assert server.manage("check").returncode == 0
