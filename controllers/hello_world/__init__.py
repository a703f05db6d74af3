from controllers.hello_world.job import HelloWorld, HelloWorldParameters

__all__ = ["HelloWorld", "HelloWorldParameters"]
