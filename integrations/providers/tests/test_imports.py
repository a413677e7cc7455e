import subprocess
import sys

MODULES = ["slack", "jira", "app_store", "play_store"]
SDKS = {"slack_sdk", "jira", "google.auth", "jwt"}


def test_no_sdk_is_loaded_before_it_is_used():
    """They cost a third of a second each, at every start of every process."""
    imports = "; ".join(f"import integrations.providers.{name}.provider" for name in MODULES)
    program = f"import sys; {imports}; print(sorted({SDKS} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
