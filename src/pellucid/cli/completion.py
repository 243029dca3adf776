"""`pellucid completion`: shells complete commands and options."""

from typing import Literal


def completion(shell: Literal["bash", "zsh", "fish", "powershell"], /) -> None:
    """Print the script by which a shell completes commands and options.

    Bash: `eval "$(pellucid completion bash)"` in ~/.bashrc. Zsh: the same with zsh, in ~/.zshrc after
    compinit. Fish: `pellucid completion fish | source` in config.fish.

    Args:
        shell: Which one.
    """
    from pellucid.cli import app

    print(app.generate_completion(shell=shell))
