"""Print pip constraints that hold every dependency at the lowest version that pyproject.toml allows."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
for line in dict.fromkeys(project["dependencies"] + [line for lines in extras.values() for line in lines]):
    print(re.sub(r"\[\w+\]", "", line).replace(">=", "=="))
# Later ones warn that the lowest matplotlib uses their old names, and the tests turn warnings into errors
print("pyparsing<3.3")
