"""What tests of Chargehand and of its plug-ins are made with: fakes, contract suites, faults, a scripted agent."""
