"""`python -m tests.support.bicep CHECKOUT` compares the resources of infra/ with the types of Azure/bicep-types-az."""

import sys
from pathlib import Path

from local.stack import ROOT
from tests.support.bicep.evaluation import deploy
from tests.support.bicep.schema import Types
from tests.support.bicep.variants import GIVEN, VARIANTS


def main() -> int:
    types = Types(Path(sys.argv[1]))
    compared, problems = 0, 0
    for name, parameters in VARIANTS.items():
        for each in deploy(ROOT / "infra" / "main.bicep", {**GIVEN, **parameters}).resources:
            found = [] if each.existing else types.problems(each)
            sys.stdout.writelines(f"{name}: {problem}\n" for problem in found)
            compared, problems = compared + (not each.existing), problems + len(found)
    sys.stdout.write(f"{compared} resources compared, {problems} problems\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
