"""`python -m tests.simulation --seeds 10000`: plays plans; the first that fails is cut down and printed."""

import sys

from tests.simulation import plans, world

if __name__ == "__main__":
    import time
    a, b = int(sys.argv[1]), int(sys.argv[2])
    t = time.perf_counter()
    from collections import Counter
    phases = Counter(); bad = 0; steps=0; hap=Counter()
    for seed in range(a, b):
        try:
            r = world.World(plans.draw(seed)).play()
        except Exception as e:
            print("CRASH", seed, repr(e)); raise
        phases.update(r.phases.values()); steps += r.steps; hap.update(r.happened)
        if r.violations:
            bad += 1
            print(seed, r.violations[:3])
            if bad > 10: break
    print((b-a)/(time.perf_counter()-t), "seeds/s", phases, steps, hap)
